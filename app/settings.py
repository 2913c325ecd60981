"""Settings of this process, read once. The only module that reads the environment, `.env` and the local defaults."""

import base64
import difflib
import hashlib
import importlib.util
import os
import re
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

from cryptography.fernet import Fernet
from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, field_validator

from app import installation, listen_address, local_defaults
from app.listen_address import ListenAddress

HOME = "NAMETAG_HOME"
OUR_PREFIXES = ("NAMETAG_", "META_", "GRAPH_")
META_CDN = ("cdninstagram.com", "fbcdn.net", "fbsbx.com")
_MEDIA_HOST = re.compile(r"[A-Za-z0-9.-]+|(localhost|\d{1,3}(\.\d{1,3}){3}):\d{1,5}")
HOST_NAME = re.compile(r"[0-9a-z-]+(\.[0-9a-z-]+)*", re.ASCII)
_EMAIL = re.compile(r"[^\s@<>,;:\"()\[\]\\]+@[A-Za-z0-9.-]+", re.ASCII)
_PORT = re.compile(r":\d{1,5}$")  # ignored: a host is trusted on every port
# Variables that Kubernetes adds for a service, whose names may begin like settings.
_SERVICE_LINK = re.compile(r"\w+_(SERVICE_HOST|SERVICE_PORT(_\w+)?|PORT_\d+_(TCP|UDP|SCTP)(_(PROTO|PORT|ADDR))?)")
LOOPBACK = ("127.0.0.1", "localhost", "::1")
SOCKET_PATH_BYTES = 100  # the path of a Unix socket can have at most 107 bytes

# Each may also be given as NAME_FILE, a file that contains it. Never shown.
SECRETS = frozenset(
    {
        *("SECRET_KEY", "TOKEN_ENCRYPTION_KEYS", "META_APP_SECRETS", "META_VERIFY_TOKEN", "META_INSTAGRAM_APP_SECRET"),
        *("OIDC_CLIENT_SECRET", "METRICS_TOKEN", "DATABASE_URL", "REDIS_URL", "SMTP_URL"),
    }
)
LONGEST_FILE = 65_536  # bytes; a larger file is not a secret
# In production each secret has at least so many random characters, unless it is empty.
LEAST_CHARACTERS = {
    "SECRET_KEY": 32,
    "META_APP_SECRETS": 16,
    "META_INSTAGRAM_APP_SECRET": 16,
    "META_VERIFY_TOKEN": 16,
    "OIDC_CLIENT_SECRET": 16,
    "METRICS_TOKEN": 16,
}
EXAMPLES = re.compile("secret|change|password|passwd|example|insecure|default|nametag|0123456789|abcdefgh|qwerty")


class SettingsError(Exception):
    """A setting is unknown or malformed. The text is one line with the variable's name and what it must be."""


def _split(value: object) -> object:
    return tuple(part.strip() for part in re.split("[,\n]", value)) if isinstance(value, str) else value


def _no_empty_part(value: tuple[str, ...]) -> tuple[str, ...]:
    if not value or not all(value):
        raise ValueError("must be a comma-separated list without empty entries")
    return value


def _http_url(value: str) -> str:
    parts = urlsplit(value)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ValueError("must be an http or https URL, such as https://graph.instagram.com")
    return value.rstrip("/")


def _media_hosts(entries: tuple[str, ...]) -> tuple[str, ...]:
    if not all(_MEDIA_HOST.fullmatch(entry) for entry in entries):
        raise ValueError("must be host names (or, for a sandbox, host:port with an IPv4 address or localhost)")
    return entries


def _unambiguous(url: str) -> str:
    try:
        parts = urlsplit(url)
        clear = parts.netloc.count("@") <= 1 and (not parts.netloc or "@" not in parts.path + parts.fragment)
        clear = clear and (parts.port or 0) >= 0  # raises ValueError for a port that is not a number
    except ValueError:
        clear = False
    if not clear:
        raise ValueError(
            "must have the form scheme://user:password@host:port/name, with special characters of the password "
            "percent-encoded, such as %40 for @ and %2F for /"
        )
    return url


def _host_names(value: tuple[str, ...]) -> tuple[str, ...]:
    names = tuple(_PORT.sub("", each.lower()).removesuffix(".") for each in value)
    if not all(HOST_NAME.fullmatch(each) for each in names):
        raise ValueError("must be comma-separated host names without a scheme, such as inbox.example.com")
    return names


def _listen_address(value: str) -> str:
    return value and str(listen_address.parse(value))


def known_database(url: str) -> str:
    """Return the URL of a database as SQLAlchemy takes it. Raises ValueError for an unknown kind."""
    if url and not url.startswith(("sqlite:", "postgresql+psycopg:", "postgresql:")):
        raise ValueError("must be an SQLAlchemy URL of SQLite or PostgreSQL, such as postgresql+psycopg://…")
    return _unambiguous(url).replace("postgresql:", "postgresql+psycopg:", 1)


Listed = Annotated[tuple[str, ...], BeforeValidator(_split), AfterValidator(_no_empty_part)]
HostNames = Annotated[tuple[str, ...], BeforeValidator(_split), AfterValidator(_host_names)]
HttpUrl = Annotated[str, AfterValidator(_http_url)]


class Settings(BaseModel):
    """All settings of a deployment. README.md lists them."""

    model_config = ConfigDict(frozen=True, extra="ignore", hide_input_in_errors=True)

    database_url: str = ""
    redis_url: str = ""
    secret_key: str = Field(min_length=16)
    token_encryption_keys: Listed
    meta_app_secrets: Listed
    meta_verify_token: str = Field(min_length=1)
    meta_app_id: str = Field("", pattern=r"^\d{0,32}$")
    meta_instagram_app_id: str = Field("", pattern=r"^\d{0,32}$")
    meta_instagram_app_secret: str = ""
    graph_facebook_url: HttpUrl = "https://graph.facebook.com"
    graph_instagram_url: HttpUrl = "https://graph.instagram.com"
    graph_api_version: str = Field("v26.0", pattern=r"^v\d{1,3}\.\d{1,2}$")
    graph_timeout_seconds: float = Field(2.0, gt=0, le=60)
    graph_calls_per_hour: int = Field(200, ge=5, le=1_000_000)
    media_hosts: Annotated[Listed, AfterValidator(_media_hosts)] = META_CDN
    oidc_issuer: str = Field("", pattern=r"^(https?://[^/?#]+[^?#]*)?$")
    oidc_client_id: str = ""
    oidc_client_secret: str = ""
    oidc_verified_claims: Listed = ("email_verified", "xms_edov")
    oidc_trust_email: bool = False
    nametag_home: Path = Path()
    nametag_data_dir: Path = Path("instance")
    nametag_env: Literal["development", "production"] = "development"
    queue_dashboard: bool = True
    metrics_token: str = ""
    alert_private_addresses: bool = False
    smtp_url: str = ""
    mail_from: str = ""
    trusted_hosts: HostNames = ()
    proxy_hops: int = Field(0, ge=0, le=8)
    listen: Annotated[str, AfterValidator(_listen_address)] = ""
    port: int = Field(8000, ge=0, le=65535)
    web_processes: int = Field(1, ge=1, le=64)
    web_threads: int = Field(8, ge=1, le=64)
    workers: int = Field(2, ge=1, le=32)

    @field_validator("token_encryption_keys")
    @classmethod
    def _fernet_keys(cls, keys: tuple[str, ...]) -> tuple[str, ...]:
        try:
            list(map(Fernet, keys))
        except ValueError as error:
            raise ValueError("must be comma-separated Fernet keys (32 URL-safe base64 bytes each)") from error
        return keys

    @field_validator("database_url")
    @classmethod
    def _known_database(cls, url: str) -> str:
        return known_database(url)

    @field_validator("redis_url")
    @classmethod
    def _known_redis(cls, url: str) -> str:
        if url and not url.startswith(("redis://", "rediss://", "unix://")):
            raise ValueError("must start with redis://, rediss:// or unix://")
        return _unambiguous(url)

    @field_validator("smtp_url")
    @classmethod
    def _known_smtp(cls, url: str) -> str:
        if url and (not url.startswith(("smtp://", "smtps://")) or not urlsplit(_unambiguous(url)).hostname):
            raise ValueError("must have the form smtp://user:password@host:port or smtps://user:password@host:port")
        return url

    @field_validator("mail_from")
    @classmethod
    def _plain_address(cls, address: str) -> str:
        if address and not _EMAIL.fullmatch(address):
            raise ValueError("must be an email address, such as nametag@example.com")
        return address

    @field_validator("metrics_token")
    @classmethod
    def _long_token(cls, token: str) -> str:
        if token and (len(token) < 16 or not token.isascii() or not token.isprintable() or " " in token):
            raise ValueError("must have at least 16 letters and digits, for example from: openssl rand -hex 32")
        return token

    @property
    def production(self) -> bool:
        """Whether NAMETAG_ENV is production, which refuses generated secrets and the sandbox."""
        return self.nametag_env == "production"

    @property
    def listens_on(self) -> ListenAddress:
        """The address of the web server: LISTEN, else PORT on this machine."""
        return listen_address.parse(self.listen or f"127.0.0.1:{self.port}")

    @property
    def signing_secrets(self) -> tuple[str, ...]:
        """App secrets with which Meta may sign deliveries and signed requests."""
        return tuple(filter(None, (*self.meta_app_secrets, self.meta_instagram_app_secret)))

    @property
    def data_dir(self) -> Path:
        """Absolute path of the folder for local defaults: database, Redis files, generated secrets."""
        return (self.nametag_home / self.nametag_data_dir).resolve()

    @property
    def private_redis(self) -> bool:
        """Whether `nametag up` starts a Redis server."""
        return not self.redis_url

    @property
    def redis_socket_path(self) -> Path:
        """Path of the private Redis server's socket: in `data_dir`, or in /tmp if that path is too long."""
        return redis_socket_path(self.data_dir)

    @property
    def redis_address(self) -> str:
        """URL that Redis clients connect to."""
        return self.redis_url or f"unix://{self.redis_socket_path}?db=0"

    @property
    def database_address(self) -> str:
        """URL that SQLAlchemy connects to."""
        return self.database_url or f"sqlite:///{self.data_dir / 'nametag.sqlite3'}"


@dataclass(frozen=True, slots=True)
class Given:
    """The text of a setting, and where it was given."""

    text: str
    source: str


@dataclass(frozen=True, slots=True)
class Effective:
    """A setting in effect. `hidden`: its value is a secret and None here, or a URL without password and query."""

    name: str
    value: str | None
    source: str
    hidden: bool


def redis_socket_path(data_dir: Path) -> Path:
    """Return the path of the private Redis server's socket for an absolute data folder."""
    beside = data_dir / "redis.sock"
    if len(os.fsencode(beside)) < SOCKET_PATH_BYTES:
        return beside
    digest = hashlib.blake2s(os.fsencode(data_dir), digest_size=6).hexdigest()
    return Path("/tmp") / f"nametag-{os.getuid()}-{digest}" / "redis.sock"  # noqa: S108 - created with mode 0700


def is_private(redis_address: str) -> bool:
    """Return whether the Redis at this URL is on this machine or needs a password."""
    url = urlsplit(redis_address)
    return url.scheme == "unix" or url.hostname in LOOPBACK or bool(url.password)


def home() -> Path:
    """Return the absolute path of the folder with `.env`, to which relative settings refer. Raises SettingsError.

    It is NAMETAG_HOME, else this checkout. For a package that was installed from a wheel it is `nametag` in the
    user's data folder, `~/.local/share`: the package itself is replaced by an upgrade.
    """
    given = os.environ.get(HOME)
    if given and not Path(given).is_dir():
        raise SettingsError(f"{HOME} must be an existing folder.")
    if given:
        return Path(given).resolve()
    return _user_folder() if installation.is_package() else installation.root()


def _user_folder() -> Path:
    chosen = os.environ.get("XDG_DATA_HOME", "")
    try:
        return (Path(chosen) if chosen.startswith("/") else Path.home() / ".local" / "share") / "nametag"
    except RuntimeError:  # a user without a home folder
        raise SettingsError(f"{HOME} must be set: this user has no home folder.") from None


def load() -> Settings:
    """Return the settings from the environment, `.env` and the local defaults, in this order. Raises SettingsError."""
    folder = home()
    given = _given(folder)
    try:
        chosen = Settings.model_validate(
            {name.lower(): value.text for name, value in given.items()} | {"nametag_home": folder}
        )
    except ValidationError as error:
        raise SettingsError(_one_line(error, given)) from None
    _refuse_half_oidc(chosen)
    _refuse_half_mail(chosen)
    if chosen.production:
        _refuse_exposed(chosen)
        _refuse_weak(chosen)
    return chosen


def effective() -> list[Effective]:
    """Return all settings of this process in alphabetical order. Raises SettingsError."""
    chosen, given = current(), _given(home())
    values = chosen.model_dump() | {
        "database_url": chosen.database_address,
        "redis_url": chosen.redis_address,
        "listen": chosen.listens_on,
        "nametag_data_dir": chosen.data_dir,
    }
    shown = []
    for name, value in sorted((field.upper(), value) for field, value in values.items()):
        source = given[name].source if name in given else "default"
        if name == HOME and os.environ.get(HOME):
            source = "environment"
        hidden = name in SECRETS and source != "default"
        shown.append(Effective(name, _public(name, str(value)) if hidden else _as_text(value), source, hidden))
    return shown


def _public(name: str, value: str) -> str | None:
    if not name.endswith("_URL"):
        return None
    parts = urlsplit(value)
    login, at, host = parts.netloc.rpartition("@")
    user, colon, _ = login.partition(":")
    return parts._replace(netloc=f"{user}{colon}{'***' if colon else ''}{at}{host}", query="").geturl()


def _as_text(value: object) -> str:
    if isinstance(value, tuple):
        return ",".join(value)
    return str(value).lower() if isinstance(value, bool) else str(value)


def _given(folder: Path) -> dict[str, Given]:
    dotenv = folder / ".env"
    in_file, in_environment = _by_name(local_defaults.read(dotenv)), _by_name(os.environ)
    _refuse_unknown_in_file(in_file, dotenv)
    _refuse_unknown_in_environment(in_environment, in_file | in_environment)
    both = {name: Given(text, str(dotenv)) for name, text in in_file.items()}
    both |= {name: Given(text, "environment") for name, text in in_environment.items() if name in _names()}
    given = _with_files(both, folder)
    if "NAMETAG_ENV" in given and given["NAMETAG_ENV"].text == "production":
        _refuse_sandbox({name: value.text for name, value in given.items()})
        return given
    data_dir = given["NAMETAG_DATA_DIR"].text if "NAMETAG_DATA_DIR" in given else "instance"
    defaults = local_defaults.with_secrets((folder / data_dir).resolve())
    known = _by_name(local_defaults.read(defaults)).items()
    return {name: Given(text, str(defaults)) for name, text in known if name in _names()} | given


def _with_files(given: Mapping[str, Given], folder: Path) -> dict[str, Given]:
    """Return `given` with the content of secret files in place of their names."""
    values = {name: value for name, value in given.items() if name not in _file_names()}
    for name in sorted(SECRETS & {each.removesuffix("_FILE") for each in given.keys() & _file_names()}):
        if name in values:
            raise SettingsError(f"Set {name} or {name}_FILE, not both.")
        path = folder / given[f"{name}_FILE"].text
        values[name] = Given(_secret_in(path, f"{name}_FILE"), str(path))
    return values


def _secret_in(path: Path, name: str) -> str:
    try:
        with path.open("rb") as file:
            content = file.read(LONGEST_FILE + 1)
        text = content.decode().strip()
    except OSError as error:
        raise SettingsError(f"{name} names a file that can't be read: {path} ({error.strerror}).") from None
    except UnicodeDecodeError:
        text = ""
    if not text or len(content) > LONGEST_FILE:
        raise SettingsError(f"{name} must name a text file with the secret: {path} is empty, too long or binary.")
    return text


_loaded = lru_cache(maxsize=1)(load)
_override: list[Settings] = []


def current() -> Settings:
    """Return the settings of this process, loaded on first use. Raises SettingsError."""
    return _override[-1] if _override else _loaded()


@contextmanager
def using(**changes: Any) -> Iterator[Settings]:
    """Run a block with other settings. For tests and `nametag up`."""
    changed = current().model_copy(update=changes)
    _override.append(changed)
    try:
        yield changed
    finally:
        _override[:] = [each for each in _override if each is not changed]  # an equal one may be in use around it


def environment(**changes: str) -> dict[str, str]:
    """Return this process's environment with `changes`, for a child process."""
    return dict(os.environ) | changes


def _by_name(values: Mapping[str, str]) -> dict[str, str]:
    # Like pydantic-settings: names in upper or lower case, and an empty value counts as missing.
    return {name.upper(): value for name, value in values.items() if value}


def _refuse_unknown_in_file(in_file: Mapping[str, str], dotenv: Path) -> None:
    if HOME in in_file:
        raise SettingsError(f"{HOME} must be set in the environment, not in .env: it names the folder of .env.")
    for name in sorted(in_file.keys() - _names()):
        raise _unknown(name, str(dotenv), _similar(name, _names(), cutoff=0.6))


def _refuse_unknown_in_environment(in_environment: Mapping[str, str], values: Mapping[str, str]) -> None:
    # Other software has variables here, too: report only a name with a prefix of ours, or close to a missing setting.
    missed = [name for name in _names() - values.keys() if len(name) >= len("REDIS_URL")]
    for name, value in sorted(in_environment.items()):
        linked = _SERVICE_LINK.fullmatch(name) or (name.endswith("_PORT") and "://" in value)
        if name in _names() or linked:
            continue
        meant = _similar(name, missed, cutoff=0.91)
        if meant or name.startswith(OUR_PREFIXES):
            raise _unknown(name, "the environment", meant or _similar(name, _names(), cutoff=0.6))


@lru_cache(maxsize=1)
def _names() -> frozenset[str]:
    return frozenset(name.upper() for name in Settings.model_fields) | _file_names()


@lru_cache(maxsize=1)
def _file_names() -> frozenset[str]:
    return frozenset(f"{name}_FILE" for name in SECRETS)


def _similar(name: str, names: Iterable[str], *, cutoff: float) -> str | None:
    spelled = name.replace("_URI", "_URL")
    for candidate in (spelled, spelled.removesuffix("_URL")):
        if found := difflib.get_close_matches(candidate, sorted(names), 1, cutoff):
            return found[0]
    return None


def _unknown(name: str, place: str, meant: str | None) -> SettingsError:
    question = f" Did you mean {meant}?" if meant else ""
    return SettingsError(
        f"{name} in {place} is not a setting of Nametag.{question} docs/settings.md lists all settings."
    )


def _refuse_sandbox(values: Mapping[str, str]) -> None:
    for name in ("GRAPH_FACEBOOK_URL", "GRAPH_INSTAGRAM_URL"):
        url = urlsplit(values.get(name) or "https://")
        if url.scheme != "https" or url.hostname in LOOPBACK:
            raise SettingsError(f"{name} must be an https URL of Meta in production, not a sandbox on this machine.")
    if ":" in values.get("MEDIA_HOSTS", ""):
        raise SettingsError("MEDIA_HOSTS can't include ports in production.")


def _refuse_exposed(chosen: Settings) -> None:
    if not is_private(chosen.redis_address):
        raise SettingsError("REDIS_URL must include a password in production unless Redis runs on this machine.")
    if not chosen.listens_on.is_loopback and not (chosen.trusted_hosts and chosen.proxy_hops):
        raise SettingsError(
            f"LISTEN={chosen.listens_on} also needs TRUSTED_HOSTS and PROXY_HOPS in production: the host names to "
            "answer to, and the number of proxies in front."
        )


def _refuse_weak(chosen: Settings) -> None:
    for name, least in LEAST_CHARACTERS.items():
        value = getattr(chosen, name.lower())
        if any(each and _is_weak(each, least) for each in ([value] if isinstance(value, str) else value)):
            raise SettingsError(
                f"{name} is too easy to guess: in production it must have at least {least} random characters. "
                f"{_REMEDIES.get(name, 'Generate one with: openssl rand -hex 32')}"
            )
    if any(_is_weak(base64.urlsafe_b64decode(key).decode("latin-1"), 32) for key in chosen.token_encryption_keys):
        raise SettingsError(
            "TOKEN_ENCRYPTION_KEYS has a key that is too easy to guess. Generate one with: "
            'python3 -c "import base64, os; print(base64.urlsafe_b64encode(os.urandom(32)).decode())"'
        )


_REMEDIES = {
    "META_APP_SECRETS": "Copy it from Meta's app dashboard.",
    "META_INSTAGRAM_APP_SECRET": "Copy it from Meta's app dashboard.",
    "OIDC_CLIENT_SECRET": "Generate one at the provider.",
}


def _is_weak(secret: str, least: int) -> bool:
    repeated = (secret + secret).find(secret, 1) < len(secret)
    few_characters = len(set(secret)) < least // 4
    return len(secret) < least or repeated or few_characters or bool(EXAMPLES.search(secret.lower()))


def _refuse_half_oidc(chosen: Settings) -> None:
    given = (chosen.oidc_issuer, chosen.oidc_client_id, chosen.oidc_client_secret)
    if any(given) and not all(given):
        raise SettingsError("Set OIDC_ISSUER, OIDC_CLIENT_ID and OIDC_CLIENT_SECRET together, or none of them.")
    if chosen.production and given[0] and not given[0].startswith("https:"):
        raise SettingsError("OIDC_ISSUER must be an https URL in production.")
    if any(given) and importlib.util.find_spec("authlib") is None:
        raise SettingsError(
            "OIDC_ISSUER needs the extra 'oidc'. Install it with pip install 'nametag[oidc]', or unset OIDC_ISSUER."
        )


def _refuse_half_mail(chosen: Settings) -> None:
    if bool(chosen.smtp_url) != bool(chosen.mail_from):
        raise SettingsError("Set SMTP_URL and MAIL_FROM together, or neither of them.")


def _one_line(error: ValidationError, given: Mapping[str, Given]) -> str:
    first = error.errors(include_input=False, include_url=False)[0]
    name = str(first["loc"][0]).upper() if first["loc"] else "settings"
    if first["type"] == "missing":
        return f"{name} is required when NAMETAG_ENV=production."
    in_file = f" (in {given[name].source})" if name in given and given[name].source.startswith("/") else ""
    return f"{name}{in_file} {_sentence(first['msg'])}."


def _sentence(message: str) -> str:
    plain = message.removeprefix("Value error, ").removeprefix("Input ").rstrip(".")
    plain = plain.replace("should", "must", 1) if plain.startswith("should") else plain
    return plain if plain.startswith("must") else f"is invalid: {plain[:1].lower()}{plain[1:]}"
