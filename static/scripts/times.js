// Times on the page keep up with the clock.
document.cookie = `tz=${Intl.DateTimeFormat().resolvedOptions().timeZone};path=/;max-age=31536000;samesite=lax`;
const formatter = (options, locale = "en-GB") => {
  const make = (timeZone) => new Intl.DateTimeFormat(locale, { timeZone, ...options }).format;
  try { return make(document.documentElement.dataset.zone); } catch { return make(); }
};
const clock = formatter({ hour: "2-digit", minute: "2-digit" });
const day = formatter({ day: "numeric", month: "short" });
const weekday = formatter({ weekday: "short" });
const isoDate = formatter({}, "sv-SE");
const midnight = (at) => Date.parse(isoDate(at));
const floor = Math.floor;
const ago = (seconds) => seconds < 60 ? "just now" : seconds < 3600 ? `${floor(seconds / 60)} min ago`
  : seconds < 86400 ? `${floor(seconds / 3600)} h ago` : `${floor(seconds / 86400)} d ago`;
const past = (at, now, rest) => {
  const days = Math.round((midnight(now) - midnight(at)) / 864e5);
  return days ? (days === 1 ? "Yesterday" : days > 1 && days < 7 ? weekday(at) : day(at)) + rest : "";
};
const shows = {
  clock: (at, now) => past(at, now, ", ") + clock(at),
  time: clock,
  span: (at, now) => {
    const minutes = Math.max(0, floor((at - now) / 6e4)), hours = floor(minutes / 60);
    return hours >= 48 ? `${floor(hours / 24)} d` : hours ? `${hours} h ${String(minutes % 60).padStart(2, "0")} m` : `${minutes} m`;
  },
  date: formatter({ day: "numeric", month: "short", year: "numeric" }),
  ago: (at, now) => ago((now - at) / 1000),
  short: (at, now) => {
    const minutes = floor((now - at) / 6e4);
    return minutes < 1 ? "now" : minutes < 60 ? `${minutes}m` : past(at, now, "") || clock(at);
  },
};
// The tab's title begins with the number of unread conversations.
const showUnread = () => {
  const unread = $("rail-unread")?.firstChild?.textContent.trim();
  const title = document.title.replace(/^\((\d+|99\+)\) /, "");
  document.title = unread ? `(${unread}) ${title}` : title;
};
const showTimes = () => {
  showUnread();
  const now = new Date();
  for (const element of all("time[data-show]")) {
    const text = (shows[element.dataset.show] || shows.clock)(new Date(element.dateTime), now);
    if (element.textContent !== text) element.textContent = text;
  }
};
const keepShown = (show) => {
  begin(show);
  listen("htmx:afterSettle", show);
  setInterval(show, 30000);
};
keepShown(showTimes);
