"""Settings: their sources, and the one-line error of a wrong one."""

import re
from pathlib import Path

import pytest
from cryptography.fernet import Fernet

from app import core, installation, local_defaults, settings
from app.db.engine import db
from app.settings import SettingsError


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder for a start without settings in its environment."""
    for name in settings.Settings.model_fields:
        monkeypatch.delenv(name.upper(), raising=False)
    monkeypatch.setenv("NAMETAG_HOME", str(tmp_path))
    return tmp_path


def refusal(monkeypatch: pytest.MonkeyPatch, **variables: str) -> str:
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(SettingsError) as refused:
        settings.load()
    assert "\n" not in str(refused.value)
    return str(refused.value)


def test_nothing_configured_works_and_keeps_its_secrets(folder: Path) -> None:
    first, second = settings.load(), settings.load()
    assert first.secret_key == second.secret_key
    assert first.database_address == f"sqlite:///{folder / 'instance' / 'nametag.sqlite3'}"
    assert first.private_redis
    assert local_defaults.file(first.data_dir).stat().st_mode & 0o777 == 0o600
    assert first.data_dir.stat().st_mode & 0o777 == 0o700


def test_the_environment_wins_over_the_file_and_the_file_over_the_embedded(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    local_defaults.write(folder / "instance", {"PORT": "1001", "WORKERS": "3", "WEB_THREADS": "4"})
    (folder / ".env").write_text("PORT=1002\nWORKERS=5\n")
    monkeypatch.setenv("PORT", "1003")
    chosen = settings.load()
    assert (chosen.port, chosen.workers, chosen.web_threads) == (1003, 5, 4)


def test_an_empty_variable_counts_as_unset(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PORT", "")
    assert settings.load().port == 8000


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("PORT", "eighty"),
        ("PORT", "70000"),
        ("LISTEN", "8000"),
        ("LISTEN", "example.com:8000"),
        ("LISTEN", "127.0.0.1"),
        ("LISTEN", "127.0.0.1:70000"),
        ("LISTEN", "127.0.0.300:80"),
        ("LISTEN", "::1:80"),
        ("LISTEN", "unix:web.sock"),
        ("LISTEN", f"unix:/{'x' * 107}"),
        ("WEB_PROCESSES", "0"),
        ("WORKERS", "0"),
        ("GRAPH_API_VERSION", "26"),
        ("GRAPH_TIMEOUT_SECONDS", "-1"),
        ("GRAPH_FACEBOOK_URL", "ftp://graph.facebook.com"),
        ("GRAPH_CALLS_PER_HOUR", "many"),
        ("META_APP_SECRETS", ","),
        ("META_APP_SECRETS", "a,,b"),
        ("META_APP_ID", "my-app"),
        ("META_INSTAGRAM_APP_ID", "12 34"),
        ("TRUSTED_HOSTS", "https://inbox.example.com"),
        ("TRUSTED_HOSTS", "inbox.example.com,"),
        ("TRUSTED_HOSTS", "inbox.example.com:port"),
        ("TRUSTED_HOSTS", "inbox example.com"),
        ("PROXY_HOPS", "-1"),
        ("MEDIA_HOSTS", " , "),
        ("MEDIA_HOSTS", "https://fbcdn.net"),
        ("MEDIA_HOSTS", "cdn.example:8080"),
        ("MEDIA_HOSTS", "127.0.0.1:x"),
        ("TOKEN_ENCRYPTION_KEYS", "not-a-key"),
        ("DATABASE_URL", "mysql://localhost/nametag"),
        ("REDIS_URL", "http://localhost"),
        ("NAMETAG_ENV", "staging"),
        ("SECRET_KEY", "short"),
    ],
)
def test_a_malformed_setting_is_named_without_its_value(
    folder: Path, monkeypatch: pytest.MonkeyPatch, name: str, value: str
) -> None:
    line = refusal(monkeypatch, **{name: value})
    assert line.startswith(name)
    assert name != "SECRET_KEY" or value not in line


@pytest.mark.parametrize("name", ["NAMETAG_DATADIR", "GRAPH_TIMEOUT", "META_APP_SECRET"])
def test_an_unknown_setting_of_ours_is_named(folder: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    assert refusal(monkeypatch, **{name: "1"}).startswith(name)


def test_an_unknown_setting_in_the_file_is_named_too(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (folder / ".env").write_text("GRAPH_TIMEOUT=3\n")
    assert refusal(monkeypatch).startswith("GRAPH_TIMEOUT")


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("TRUSTED_HOST", "TRUSTED_HOSTS"),
        ("OIDC_ISSUER_URL", "OIDC_ISSUER"),
        ("REDIS_URI", "REDIS_URL"),
        ("DATABASE_URI", "DATABASE_URL"),
        ("SECRETKEY", "SECRET_KEY"),
        ("trusted_hots", "TRUSTED_HOSTS"),
    ],
)
@pytest.mark.parametrize("place", [".env", "environment"])
def test_a_mistyped_setting_stops_the_start_with_a_suggestion(
    folder: Path, monkeypatch: pytest.MonkeyPatch, name: str, meant: str, place: str
) -> None:
    if place == ".env":
        (folder / ".env").write_text(f"{name}=x\n")
    else:
        monkeypatch.setenv(name, "x")
    line = refusal(monkeypatch)
    assert line.startswith(f"{name.upper()} in ")
    assert f"{place} is not a setting of Nametag. Did you mean {meant}?" in line


def test_any_unknown_name_in_the_file_stops_the_start(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (folder / ".env").write_text("POSTGRES_PASSWORD=x\n")
    assert refusal(monkeypatch).endswith("/.env is not a setting of Nametag. docs/settings.md lists all settings.")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("HTTP_PORT", "80"),
        ("PORTS", "80"),
        ("WORKER", "1"),
        ("DATABASE_USER", "shop"),
        ("DATABASE_HOST", "db"),
        ("REDIS_HOST", "cache"),
        ("REDIS_PORT", "tcp://10.0.0.7:6379"),
        ("PROXY_HOST", "proxy.example"),
        ("SECRET_KEY_BASE", "of Rails"),
        ("NAMETAG_PORT", "tcp://10.0.0.7:80"),
        ("NAMETAG_PORT_80_TCP_ADDR", "10.0.0.7"),
        ("NAMETAG_WEB_SERVICE_PORT_HTTP", "80"),
    ],
)
def test_variables_of_other_programs_are_ignored(
    folder: Path, monkeypatch: pytest.MonkeyPatch, name: str, value: str
) -> None:
    monkeypatch.setenv(name, value)
    assert settings.load().port == 8000


def test_a_name_like_that_of_a_setting_in_use_is_ignored(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REDIS_URL", "redis://localhost/1")
    monkeypatch.setenv("REDIS_URLS", "redis://localhost/2")
    assert settings.load().redis_url == "redis://localhost/1"


@pytest.mark.parametrize("line", ["nametag_env=production", "NAMETAG_ENV=production"])
def test_production_in_the_file_counts_in_any_case_and_beside_an_empty_variable(
    folder: Path, monkeypatch: pytest.MonkeyPatch, line: str
) -> None:
    (folder / ".env").write_text(f"{line}\n")
    assert "SECRET_KEY is required" in refusal(monkeypatch, NAMETAG_ENV="")


def test_relative_paths_are_in_the_home_folder_wherever_a_command_runs(
    folder: Path, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path_factory.mktemp("elsewhere"))
    (folder / ".env").write_text("NAMETAG_DATA_DIR=data\nDATABASE_URL=sqlite:///mine.sqlite3\n")
    with settings.using(**dict(settings.load())), core.create_core().app_context():
        assert Path(str(db.engine.url.database)) == folder / "data" / "mine.sqlite3"


def test_each_block_ends_with_the_settings_around_it(folder: Path) -> None:
    with settings.using(workers=3), settings.using(workers=4):
        with settings.using(workers=3):
            assert settings.current().workers == 3
        assert settings.current().workers == 4


def test_without_a_home_folder_a_checkout_uses_its_own(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("NAMETAG_HOME")
    monkeypatch.chdir(tmp_path)
    assert settings.home() == Path(settings.__file__).parents[1]


@pytest.mark.parametrize(("variable", "value"), [("XDG_DATA_HOME", "/srv/data"), ("HOME", "/srv/ops")])
def test_without_a_home_folder_a_package_uses_the_users_data_folder(
    monkeypatch: pytest.MonkeyPatch, variable: str, value: str
) -> None:
    for name in ("NAMETAG_HOME", "XDG_DATA_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(installation, "is_package", lambda: True)
    monkeypatch.setenv(variable, value)
    expected = {"XDG_DATA_HOME": "/srv/data/nametag", "HOME": "/srv/ops/.local/share/nametag"}
    assert settings.home() == Path(expected[variable])


def test_the_home_folder_must_exist_and_is_not_named_in_its_own_file(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (folder / ".env").write_text("NAMETAG_HOME=/srv\n")
    assert refusal(monkeypatch).startswith("NAMETAG_HOME must be set in the environment")
    assert refusal(monkeypatch, NAMETAG_HOME=str(folder / "missing")) == "NAMETAG_HOME must be an existing folder."


def test_production_wants_secrets_of_its_own(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    settings.load()  # leaves generated secrets behind, which production must not use
    assert "SECRET_KEY is required" in refusal(monkeypatch, NAMETAG_ENV="production")


PRODUCTION = {
    "NAMETAG_ENV": "production",
    "SECRET_KEY": "4f9c1b7d2e8a6035f1c9d47b0e62a83d",
    "TOKEN_ENCRYPTION_KEYS": Fernet.generate_key().decode(),
    "META_APP_SECRETS": "0c3f5a7e9d1b2846f0a9c8e7d6b5a413,51c0de9ab7f34826",
    "META_VERIFY_TOKEN": "hG7d-Qw2_pLx9Tz4",
}


@pytest.mark.parametrize(
    "key",
    [
        *("k7Qw93mXz0pLd2Va", "a" * 64, "abab" * 16, "4f9c1b7d2e8a6035" * 2, "change-me-" + "4f9c1b7d2e8a6035f1c9d47b"),
        *(
            "django-insecure-4f9c1b7d2e8a6035f1c9d47b",
            "your secret key of 32 characters!",
            "0123456789abcdefghijklmnopqrstuv",
        ),
    ],
)
def test_production_refuses_a_secret_key_that_is_easy_to_guess(
    folder: Path, monkeypatch: pytest.MonkeyPatch, key: str
) -> None:
    line = refusal(monkeypatch, **PRODUCTION | {"SECRET_KEY": key})
    assert line.startswith("SECRET_KEY is too easy to guess")
    assert key not in line


@pytest.mark.parametrize("key", ["8f21c60b3e94d7a5b1c0f2698e4d375a", "Xk3_vP9-qLz0RtY7wNb2HmC5sJd8GfA1eQoU4iTrVyM"])
def test_production_takes_a_random_secret_key(folder: Path, monkeypatch: pytest.MonkeyPatch, key: str) -> None:
    for name, value in (PRODUCTION | {"SECRET_KEY": key}).items():
        monkeypatch.setenv(name, value)
    assert settings.load().secret_key == key


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("META_APP_SECRETS", "0c3f5a7e9d1b2846f0a9c8e7d6b5a413,short"),
        ("META_APP_SECRETS", "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"),
        ("META_INSTAGRAM_APP_SECRET", "0123456789abcdef0123456789abcdef"),
        ("META_VERIFY_TOKEN", "verify"),
        ("META_VERIFY_TOKEN", "changeme-changeme-now"),
        ("OIDC_CLIENT_SECRET", "insecure_client_secret"),
        ("TOKEN_ENCRYPTION_KEYS", "MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY="),
        ("TOKEN_ENCRYPTION_KEYS", "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="),
    ],
)
def test_production_refuses_each_weak_secret(
    folder: Path, monkeypatch: pytest.MonkeyPatch, name: str, value: str
) -> None:
    oidc = {"OIDC_ISSUER": "https://sso.example.com", "OIDC_CLIENT_ID": "nametag"} if "OIDC" in name else {}
    line = refusal(monkeypatch, **PRODUCTION | oidc | {name: value})
    assert line.startswith(f"{name} ")
    assert "too easy to guess" in line
    assert value not in line
    monkeypatch.setenv("NAMETAG_ENV", "development")
    settings.load()


def test_production_takes_the_secrets_that_nametag_generates(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for _ in range(100):
        for name, value in (PRODUCTION | local_defaults.generated()).items():
            monkeypatch.setenv(name, value)
        settings.load()


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("SMTP_URL", "http://mail.example.com"),
        ("SMTP_URL", "smtp://"),
        ("SMTP_URL", "smtps://mail.example.com"),  # without MAIL_FROM
        ("MAIL_FROM", "nametag@example.com"),  # without SMTP_URL
        ("MAIL_FROM", "nametag"),
    ],
)
def test_wrong_or_half_settings_of_email_are_refused(
    folder: Path, monkeypatch: pytest.MonkeyPatch, name: str, value: str
) -> None:
    monkeypatch.setenv(name, value)
    assert name in refusal(monkeypatch)


@pytest.mark.parametrize("place", ["environment", ".env"])
@pytest.mark.parametrize("name", sorted(settings.SECRETS))
def test_each_secret_may_be_in_a_file(folder: Path, monkeypatch: pytest.MonkeyPatch, name: str, place: str) -> None:
    values = PRODUCTION | {
        "META_INSTAGRAM_APP_SECRET": "b51c0de9ab7f3482",
        "OIDC_CLIENT_SECRET": "b51c0de9ab7f3482-k",
        "METRICS_TOKEN": "b51c0de9ab7f3482-m",
        "DATABASE_URL": "postgresql+psycopg://nametag:b51c0de9@db/nametag",
        "REDIS_URL": "redis://:b51c0de9@redis:6379/0",
        "SMTP_URL": "smtps://nametag:b51c0de9@mail.example.com",
    }
    others = {each: value for each, value in values.items() if each != name}
    others |= {"OIDC_ISSUER": "https://sso.example.com", "OIDC_CLIENT_ID": "nametag"}
    others |= {"MAIL_FROM": "nametag@example.com"}
    (folder / "secret").write_text(f"{values[name]}\n")
    if place == ".env":
        (folder / ".env").write_text(f"{name}_FILE=secret\n")  # relative to the home folder
    else:
        others[f"{name}_FILE"] = str(folder / "secret")
    for each, value in others.items():
        monkeypatch.setenv(each, value)
    found = getattr(settings.load(), name.lower())
    assert (found if isinstance(found, str) else ",".join(found)) == values[name]


def test_a_file_may_list_one_key_per_line(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    keys = [Fernet.generate_key().decode() for _ in range(2)]
    (folder / "keys").write_text("\n".join(keys) + "\n")
    monkeypatch.setenv("TOKEN_ENCRYPTION_KEYS_FILE", "keys")
    assert settings.load().token_encryption_keys == tuple(keys)


@pytest.mark.parametrize("in_file", ["SECRET_KEY=4f9c1b7d2e8a6035f1c9d47b0e62a83d\n", "SECRET_KEY_FILE=key\n"])
def test_a_secret_and_its_file_are_not_both_accepted(
    folder: Path, monkeypatch: pytest.MonkeyPatch, in_file: str
) -> None:
    (folder / "key").write_text("8f21c60b3e94d7a5b1c0f2698e4d375a")
    (folder / ".env").write_text(in_file)
    other = {"SECRET_KEY_FILE": "key"} if "FILE" not in in_file else {"SECRET_KEY": "8f21c60b3e94d7a5b1c0f2698e4d375a"}
    assert refusal(monkeypatch, **other) == "Set SECRET_KEY or SECRET_KEY_FILE, not both."


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (None, "can't be read"),
        (b"", "is empty, too long or binary"),
        (b" \n", "is empty, too long or binary"),
        (b"\xff\xfe\x00", "is empty, too long or binary"),
        (b"k" * 70_000, "is empty, too long or binary"),
    ],
    ids=["missing", "empty", "blank", "binary", "long"],
)
def test_an_unusable_secret_file_is_named(
    folder: Path, monkeypatch: pytest.MonkeyPatch, content: bytes | None, said: str
) -> None:
    if content is not None:
        (folder / "key").write_bytes(content)
    line = refusal(monkeypatch, SECRET_KEY_FILE="key")
    assert line.startswith("SECRET_KEY_FILE ")
    assert str(folder / "key") in line
    assert said in line


def test_a_file_for_a_setting_that_is_no_secret_is_refused(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert "Did you mean META_APP_ID?" in refusal(monkeypatch, META_APP_ID_FILE="id")


@pytest.mark.parametrize(
    ("variables", "url"),
    [
        ({}, "http://127.0.0.1:8000"),
        ({"PORT": "8001"}, "http://127.0.0.1:8001"),
        ({"PORT": "8001", "LISTEN": "localhost:8002"}, "http://127.0.0.1:8002"),
        ({"LISTEN": "0.0.0.0:8000"}, "http://127.0.0.1:8000"),
        ({"LISTEN": "[::]:8000"}, "http://[::1]:8000"),
        ({"LISTEN": "192.0.2.7:80"}, "http://192.0.2.7:80"),
        ({"LISTEN": "unix:/run/nametag/web.sock"}, "unix:/run/nametag/web.sock"),
    ],
)
def test_the_web_server_listens_where_listen_or_port_says(
    folder: Path, monkeypatch: pytest.MonkeyPatch, variables: dict[str, str], url: str
) -> None:
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert settings.load().listens_on.url == url


@pytest.mark.parametrize("address", ["0.0.0.0:8000", "[::]:8000", "192.0.2.7:80", "unix:/run/nametag/web.sock"])
@pytest.mark.parametrize("given", [{}, {"TRUSTED_HOSTS": "inbox.example.com"}, {"PROXY_HOPS": "1"}], ids=str)
def test_production_that_others_reach_needs_host_names_and_proxies(
    folder: Path, monkeypatch: pytest.MonkeyPatch, address: str, given: dict[str, str]
) -> None:
    line = refusal(monkeypatch, **PRODUCTION, LISTEN=address, **given)
    assert f"LISTEN={address} also needs TRUSTED_HOSTS and PROXY_HOPS" in line
    monkeypatch.setenv("TRUSTED_HOSTS", "inbox.example.com")
    monkeypatch.setenv("PROXY_HOPS", "1")
    assert str(settings.load().listens_on) == address


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("GRAPH_FACEBOOK_URL", "http://127.0.0.1:8010/facebook"),
        ("GRAPH_INSTAGRAM_URL", "https://localhost:8010"),
        ("GRAPH_INSTAGRAM_URL", "http://graph.instagram.com"),
        ("MEDIA_HOSTS", "fbcdn.net,127.0.0.1:5061"),
    ],
)
def test_production_refuses_the_sandbox(folder: Path, monkeypatch: pytest.MonkeyPatch, name: str, value: str) -> None:
    assert refusal(monkeypatch, **PRODUCTION | {name: value}).startswith(name)
    monkeypatch.delenv(name)
    assert len(settings.load().meta_app_secrets) == 2


@pytest.mark.parametrize(
    ("address", "private"),
    [
        ("unix:///run/redis.sock", True),
        ("redis://localhost:6379/0", True),
        ("redis://[::1]:6379/0", True),
        ("rediss://:secret@redis.example:6379/0", True),
        ("redis://redis.example:6379/0", False),
        ("redis://user@redis.example:6379/0", False),
        ("redis://10.0.0.4:6379/0", False),
    ],
)
def test_production_refuses_a_redis_that_anybody_on_the_network_reaches(
    folder: Path, monkeypatch: pytest.MonkeyPatch, address: str, private: bool
) -> None:
    assert settings.is_private(address) is private
    if private:
        monkeypatch.setenv("REDIS_URL", address)
        for name, value in PRODUCTION.items():
            monkeypatch.setenv(name, value)
        assert settings.load().redis_address == address
    else:
        assert refusal(monkeypatch, **PRODUCTION, REDIS_URL=address).startswith("REDIS_URL")
        monkeypatch.setenv("NAMETAG_ENV", "development")
        assert settings.load().redis_address == address


@pytest.mark.parametrize("password", ["p@ss/w%rd#1", "tops@cret", "tops@cret:1", "top/s@cret", "top/cret", "top?cret"])
@pytest.mark.parametrize(("name", "scheme"), [("DATABASE_URL", "postgresql"), ("REDIS_URL", "redis")])
def test_a_password_with_unencoded_special_characters_is_refused_without_showing_it(
    folder: Path, monkeypatch: pytest.MonkeyPatch, name: str, scheme: str, password: str
) -> None:
    line = refusal(monkeypatch, **{name: f"{scheme}://nametag:{password}@localhost/1"})
    assert line.startswith(f"{name} must have the form")
    assert "percent-encoded, such as %40 for @" in line
    assert not any(part in line for part in ("p@ss", "w%rd", "tops", "cret"))


@pytest.mark.parametrize(
    "url",
    [
        "postgresql+psycopg://nametag:p%40ss%2Fw%25rd%231@localhost:5432/nametag",
        "postgresql+psycopg://nametag@/nametag?host=/run/postgresql&application_name=a@b",
        "postgresql+psycopg://[::1]:5432/nametag",
        "sqlite:////srv/me@home/nametag.sqlite3",
    ],
)
def test_an_encoded_database_url_is_accepted(folder: Path, monkeypatch: pytest.MonkeyPatch, url: str) -> None:
    monkeypatch.setenv("DATABASE_URL", url)
    assert settings.load().database_address == url


def test_a_long_data_folder_moves_the_socket_to_a_short_path(tmp_path: Path) -> None:
    near, far = settings.redis_socket_path(Path("/srv/nametag")), settings.redis_socket_path(tmp_path / ("x" * 120))
    assert near == Path("/srv/nametag/redis.sock")
    assert len(str(far)) < settings.SOCKET_PATH_BYTES
    assert far == settings.redis_socket_path(tmp_path / ("x" * 120))


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        (
            {"OIDC_CLIENT_SECRET": ""},
            "Set OIDC_ISSUER, OIDC_CLIENT_ID and OIDC_CLIENT_SECRET together, or none of them.",
        ),
        ({"OIDC_ISSUER": "sso.example.com"}, "OIDC_ISSUER"),
    ],
)
def test_half_a_provider_is_refused(
    folder: Path, monkeypatch: pytest.MonkeyPatch, changed: dict[str, str], said: str
) -> None:
    given = {"OIDC_ISSUER": "https://sso.example.com/", "OIDC_CLIENT_ID": "nametag", "OIDC_CLIENT_SECRET": "x"}
    assert refusal(monkeypatch, **given | changed).startswith(said)


def test_production_wants_a_provider_behind_https(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    given = {"OIDC_ISSUER": "http://sso.example.com", "OIDC_CLIENT_ID": "nametag", "OIDC_CLIENT_SECRET": "x"}
    assert re.match("OIDC_ISSUER .*https", refusal(monkeypatch, **PRODUCTION | given))


def test_a_provider_without_the_extra_is_refused(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda _: None)
    given = {"OIDC_ISSUER": "https://sso.example.com/", "OIDC_CLIENT_ID": "nametag", "OIDC_CLIENT_SECRET": "x"}
    assert "the extra" in refusal(monkeypatch, **given)
