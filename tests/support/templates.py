"""Templates compiled once per test process, although each test has an app of its own."""

from jinja2 import BytecodeCache
from jinja2.bccache import Bucket


class Compiled(BytecodeCache):
    """An in-memory cache of compiled templates; Jinja's own caches belong to one app or need a folder."""

    def __init__(self) -> None:
        self._by_key: dict[tuple[str, str], bytes] = {}

    def load_bytecode(self, bucket: Bucket) -> None:
        """Fill the bucket if the same source was compiled before."""
        compiled = self._by_key.get((bucket.key, bucket.checksum))
        if compiled:
            bucket.bytecode_from_string(compiled)

    def dump_bytecode(self, bucket: Bucket) -> None:
        """Store the compiled template."""
        self._by_key[bucket.key, bucket.checksum] = bucket.bytecode_to_string()


COMPILED = Compiled()
