"""Where recordings lie on disk: blocks of whole lines, each a zstd frame of its own, one after the other.

A block reaches the file in one write and the disk before the next begins, so a recorder that is killed leaves a file that reads up to its
last block, and at most one block more in part. `zstdcat` reads such a file too; plain and gzipped files are read as well.
"""

from __future__ import annotations

import gzip
import io
import os
from pathlib import Path
from typing import Any, BinaryIO, Final, cast

import zstandard

LEVEL: Final = 9
_GZIP: Final = b"\x1f\x8b"
_ZSTD: Final = b"\x28\xb5\x2f\xfd"
_READ_BYTES: Final = 1 << 16


class BlockFile:
    """A new file that grows by blocks.

    Args:
        path: must not exist.

    Attributes:
        path: the file.
        size: bytes on disk.

    Raises:
        FileExistsError: it exists.
        OSError: it cannot be made.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.size = 0
        self._compressor = zstandard.ZstdCompressor(level=LEVEL, write_checksum=True)
        self._file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o644)

    def write(self, lines: bytes) -> None:
        """Add a block and wait for the disk; when that fails the file ends with the block before.

        Raises:
            OSError: the disk is full or gone; names the file.
        """
        block = memoryview(self._compressor.compress(lines))
        try:
            written = 0
            while written < len(block):
                written += os.pwrite(self._file, block[written:], self.size + written)
            os.fsync(self._file)
        except OSError as error:
            os.ftruncate(self._file, self.size)
            raise OSError(error.errno, error.strerror, str(self.path)) from None
        self.size += len(block)

    def close(self) -> None:
        """Let go of the file."""
        os.close(self._file)


class ZstdLines(io.RawIOBase):
    """The lines of a zstd file.

    Attributes:
        is_cut: the end of the file has been reached in the middle of a frame.
    """

    def __init__(self, file: BinaryIO) -> None:
        self.is_cut = False
        self._file = file
        self._decompressor = zstandard.ZstdDecompressor()
        self._frame: zstandard.ZstdDecompressionObj | None = None
        self._input = b""
        self._output = b""

    def readable(self) -> bool:
        """Answer yes."""
        return True

    def readinto(self, buffer: Any) -> int:
        """Fill the buffer; 0 at the end.

        Raises:
            zstandard.ZstdError: the file is damaged.
        """
        view = memoryview(buffer)
        while not self._output and self._advance():
            pass
        count = min(len(view), len(self._output))
        view[:count], self._output = self._output[:count], self._output[count:]
        return count

    def close(self) -> None:
        """Close the file underneath."""
        self._file.close()
        super().close()

    def _advance(self) -> bool:
        data = self._input or self._file.read(_READ_BYTES)
        if not data:
            self.is_cut = self._frame is not None
            return False
        self._frame = self._frame or self._decompressor.decompressobj()
        self._output = self._frame.decompress(data)
        self._input = b""
        if self._frame.eof:
            self._input, self._frame = self._frame.unused_data, None
        return True


def open_lines(path: Path) -> tuple[BinaryIO, ZstdLines | None]:
    """Open a file of lines, told by its first bytes: gzip, zstd or plain; the second answer is there for zstd alone.

    Raises:
        OSError: it cannot be read.
    """
    file = path.open("rb")
    start = file.read(len(_ZSTD))
    file.seek(0)
    if start.startswith(_GZIP):
        file.close()
        return cast("BinaryIO", gzip.open(path, "rb")), None
    if start == _ZSTD:
        blocks = ZstdLines(file)
        return io.BufferedReader(blocks, buffer_size=1 << 18), blocks
    return file, None
