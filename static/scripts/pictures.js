// Pictures that fail to load are replaced, also those that failed before this script ran.
const replaceMissing = (image) => {
  const text = image.dataset.missing, missing = document.createElement(text ? "p" : "span");
  missing.className = text ? "placeholder placeholder-media" : image.className;
  missing.textContent = text || "";
  (text ? image.closest(".media") : image).replaceWith(missing);
};
listen("error", ({ target }) => { if (target instanceof HTMLImageElement) replaceMissing(target); }, true);
begin(() => { for (const image of [...document.images]) if (image.complete && !image.naturalWidth) replaceMissing(image); });
