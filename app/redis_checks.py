"""Check the Redis in REDIS_URL: version, mode, permissions of its user, data of other software."""

import ssl
from contextlib import suppress
from typing import Any

from redis.exceptions import (
    AuthenticationError,
    BusyLoadingError,
    NoPermissionError,
    ReadOnlyError,
    RedisError,
    ResponseError,
    TimeoutError,
)

from app import settings
from app.errors import Conflict
from app.redis_client import RedisUnavailable, client
from app.text import for_terminal, shorten

OLDEST = (6, 2)  # an older one can lose a task while a worker takes it from its queue
OUR_KEYS = ("nametag:", "rq:", "instagram:profile:")
HOST_KEYS = ("ElastiCache",)  # written by the host itself, such as ElastiCacheMasterReplicationTimestamp
LOOKED_AT = 1_000  # keys

# Every command that Nametag, its scripts and RQ send, in a form that does no harm to the key it names.
_KEY = "nametag:permissions"
COMMANDS = [
    line.strip().replace("KEY", _KEY)
    for line in """
    PING / INFO server / TIME / SCAN 0 COUNT 1 / TYPE KEY / EXISTS KEY / TTL KEY / PTTL KEY
    EXPIRE KEY 1 / PEXPIRE KEY 1 / PERSIST KEY / RENAME KEY KEY / DEL KEY
    EVAL return{} 0 / EVALSHA 0 0 / SCRIPT LOAD return{} / MULTI / EXEC / WATCH KEY / UNWATCH
    LPUSH KEY 1 / RPUSH KEY 1 / LLEN KEY / LRANGE KEY 0 0 / LREM KEY 0 1 / LPOS KEY 1 / LPOP KEY
    BLPOP KEY 0.001 / BLMOVE KEY KEY LEFT RIGHT 0.001 / DEL KEY
    SADD KEY 1 / SCARD KEY / SISMEMBER KEY 1 / SMEMBERS KEY / SREM KEY 1
    ZADD KEY 1 1 / ZCARD KEY / ZCOUNT KEY 0 1 / ZSCORE KEY 1 / ZRANGE KEY 0 0 / ZREVRANGE KEY 0 0
    ZRANGEBYSCORE KEY 0 1 / ZREM KEY 1 / ZREMRANGEBYSCORE KEY 0 1 / HSET KEY a 1 / HGET KEY a / HMGET KEY a
    HGETALL KEY / HEXISTS KEY a / HINCRBY KEY a 1 / HINCRBYFLOAT KEY a 1 / HDEL KEY a
    XADD KEY MAXLEN 1 * a 1 / XRANGE KEY - + / XREVRANGE KEY + - / XTRIM KEY MAXLEN 0 / DEL KEY / SET KEY 1
    GET KEY / MSET KEY 1 / MGET KEY / INCR KEY / DECR KEY / DEL KEY
    SET nametag:permissions 1 PX 1 / SET rq:permissions 1 PX 1 / SET instagram:profile:permissions 1 PX 1
    """.replace("\n", "/").split("/")
    if line.strip()
]


def require_ours() -> None:
    """Raise Conflict, with one line, for a Redis that is unsupported or has data of other software.

    Passes for an unavailable Redis: processes start without it and wait for it.
    """
    with suppress(RedisUnavailable):
        require_supported()
        _require_no_foreign_keys()


def require_supported() -> None:
    """Raise Conflict for a wrong mode, an old version or a missing permission. Raises RedisUnavailable."""
    _require_permissions()
    server: dict[str, Any] = client().info("server")
    if "cluster" in (server.get("redis_mode"), server.get("server_mode")):  # the second is Valkey's
        raise Conflict("REDIS_URL points to a Redis in cluster mode. Use one with cluster mode disabled.")
    version = str(server["redis_version"])
    if tuple(int(part) for part in version.split(".")[:2] if part.isdigit()) < OLDEST:
        raise Conflict(
            f"Redis {version} is not supported. REDIS_URL must point to Redis {OLDEST[0]}.{OLDEST[1]} or later."
        )


def _require_permissions() -> None:
    pool = client().connection_pool
    connection: Any = pool.get_connection()
    try:
        connection.send_packed_command(connection.pack_commands([command.split() for command in COMMANDS]))
        for command in COMMANDS:
            with suppress(ResponseError):  # other errors, such as of a cluster or a replica, have their own checks
                _require_permission(connection, command)
    finally:
        connection.disconnect()  # it may still watch a key, or have unread answers
        pool.release(connection)


def _require_permission(connection: Any, command: str) -> None:
    try:
        connection.read_response()
    except NoPermissionError as error:
        name, *arguments = command.split()
        on_key = f" on the keys {arguments[0].removesuffix('permissions')}*" if " key" in str(error) else ""
        name = f"{name} {arguments[0]}" if name == "SCRIPT" else name
        raise Conflict(
            f"The Redis user in REDIS_URL must be allowed to run {name}{on_key}. See docs/redis.md."
        ) from error


def _require_no_foreign_keys() -> None:
    keys: list[Any] = client().scan(count=LOOKED_AT)[1]
    names = [key.decode(errors="replace") for key in keys]
    foreign = next((name for name in names if not name.startswith(OUR_KEYS + HOST_KEYS)), None)
    if foreign is not None:
        named = shorten(for_terminal(foreign), 40)
        raise Conflict(
            f"The Redis database in REDIS_URL contains other data (for example {named}). "
            "Use a database only for Nametag."
        )


def explain(error: RedisError) -> tuple[str, str]:
    """Return why Redis can't be used and what to do, one sentence each; the first one without a full stop."""
    cause = error.__context__
    if isinstance(error, TimeoutError):
        return _explain_timeout()
    if isinstance(error, NoPermissionError):
        return f"It refuses a command: {error}", "Grant its user the permissions in docs/redis.md."
    for kind, (says, remedy) in _ANSWERS.items():
        if isinstance(error, kind):
            return says, remedy
    if isinstance(cause, ssl.SSLError):
        return _explain_tls(cause)
    reason = cause.strerror if isinstance(cause, OSError) and cause.strerror else type(error).__name__
    return f"Can't reach it: {reason}", _how_to_start("a port with TLS needs rediss://.")


_ANSWERS = {
    AuthenticationError: ("It refuses the user name or password", "Correct them in REDIS_URL."),
    ReadOnlyError: ("It is a read-only replica", "Point REDIS_URL to the primary."),
    BusyLoadingError: ("It is loading its data", "Wait until it has started."),
}


def _explain_timeout() -> tuple[str, str]:
    limits = client().get_connection_kwargs()
    connect, answer = limits["socket_connect_timeout"], limits["socket_timeout"]
    return (
        f"It does not answer in time: the limits are {connect:g} s to connect and {answer:g} s to answer",
        _how_to_start(
            "rediss:// needs a port with TLS, and "
            "`?socket_connect_timeout=3&socket_timeout=3` gives a slow server more time."
        ),
    )


def _how_to_start(hint: str) -> str:
    if settings.current().private_redis:
        return "Start `nametag up`, which runs it. If it runs already, it restarts Redis within seconds."
    return f"Start it, or check REDIS_URL: {hint}"


def _explain_tls(cause: ssl.SSLError) -> tuple[str, str]:
    if isinstance(cause, ssl.SSLCertVerificationError):
        return (
            f"Its TLS certificate is not trusted: {cause.verify_message}",
            "Add `?ssl_ca_certs=/path/to/ca.pem` to REDIS_URL; `?ssl_cert_reqs=none` trusts any certificate.",
        )
    return f"TLS failed: {cause.reason}", "Use rediss:// in REDIS_URL for a port with TLS only, redis:// for any other."
