"""Templates compiled once a test process, though each test has an app of its own."""

from jinja2 import BytecodeCache
from jinja2.bccache import Bucket


class Compiled(BytecodeCache):
    """Keeps what templates were compiled to in memory; Jinja's own caches belong to one app or want a folder."""

    def __init__(self) -> None:
        self._by_key: dict[tuple[str, str], bytes] = {}

    def load_bytecode(self, bucket: Bucket) -> None:
        """Fill the bucket, if this very source was compiled before."""
        kept = self._by_key.get((bucket.key, bucket.checksum))
        if kept:
            bucket.bytecode_from_string(kept)

    def dump_bytecode(self, bucket: Bucket) -> None:
        """Keep what the bucket was filled with."""
        self._by_key[bucket.key, bucket.checksum] = bucket.bytecode_to_string()


COMPILED = Compiled()
