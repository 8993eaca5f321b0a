"""SHA-256 without OpenSSL, which `hashlib` loads first: 3 ms that a command would wait for.

CPython brings its own (``_sha2`` since 3.12, ``_sha256`` before) unless it was built without.
"""

TYPE_CHECKING = False
if TYPE_CHECKING:
    from hashlib import sha256
else:
    try:
        from _sha2 import sha256
    except ImportError:
        try:
            from _sha256 import sha256
        except ImportError:
            from hashlib import sha256

__all__ = ["sha256"]
