"""Build hook of the wheel: put the folders beside `app` into it, with compressed static files and the commit."""

import shutil
import sys
import tempfile
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface


class Files(BuildHookInterface):  # type: ignore[type-arg]  # of any builder
    """Adds files to the wheel and the commit to the source distribution. An editable installation needs neither."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Collect the files in a temporary folder, so that a build leaves nothing in the checkout."""
        self._made = Path(tempfile.mkdtemp(prefix="nametag-build-"))
        if version == "editable":
            return
        sys.path.insert(0, self.root)
        from app import installation  # noqa: PLC0415 - the code that is built, of which no other module is loaded

        added: dict[str, str] = build_data["force_include"]
        noted = (installation.PACKAGE / installation.COMMIT).is_file()  # in a source distribution, or by a Dockerfile
        if not noted and (commit := installation.commit()):
            (self._made / installation.COMMIT).write_text(f"{commit}\n")
            added[str(self._made / installation.COMMIT)] = f"app/{installation.COMMIT}"
        if self.target_name != "wheel":
            return
        for folder in installation.FOLDERS:
            shutil.copytree(Path(self.root) / folder, self._made / folder, ignore=shutil.ignore_patterns("__pycache__"))
            added[str(self._made / folder)] = f"app/{folder}"
        compress(self._made / "static")

    def finalize(self, version: str, build_data: dict[str, Any], artifact_path: str) -> None:  # noqa: ARG002 - Hatch's signature
        """Delete the temporary folder."""
        shutil.rmtree(self._made)


def compress(folder: Path) -> None:
    """Write a file with the suffix .gz next to each file that gets smaller; WhiteNoise serves it."""
    from whitenoise.compress import Compressor  # noqa: PLC0415 - an editable build does not have it

    compressor = Compressor(use_brotli=False, quiet=True)
    for path in [path for path in folder.rglob("*") if path.is_file()]:
        if compressor.should_compress(path.name):
            list(compressor.compress(str(path)))
