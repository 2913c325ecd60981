"""The C library; None except on Linux."""

import ctypes
import sys

LIBC = ctypes.CDLL(None) if sys.platform == "linux" else None  # loaded before any fork, as a child must not
