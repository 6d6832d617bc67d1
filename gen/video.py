# SPDX-License-Identifier: Apache-2.0
"""Video file, photograph or noise -> `Clip`: F frames of whole patches, ready for `gen/tokens.py`.

Test: verif/gen/test_video.py.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import av
import numpy as np
from av.container import InputContainer
from av.video.frame import VideoFrame
from av.video.stream import VideoStream
from matplotlib.cbook import get_sample_data
from numpy.typing import NDArray
from PIL import Image

from focus_rtl.gen.errors import InputOutputError

__all__ = ["PATCH", "Clip", "noise_clip", "photo_clip", "read_video"]

PATCH = 16
"""Side of a patch in pixels; a token stands for PATCH x PATCH RGB pixels."""

PHOTO = "grace_hopper.jpg"
"""The photograph behind the default clip: a sample file of matplotlib's wheel."""

SHORT = 400
"""A file of at most this many frames is decoded whole; in a longer one each frame is looked up by its time."""

FORMATS = "name a video file, such as .mp4, .mkv, .webm or .gif"


@dataclass(frozen=True)
class Clip:
    """`frames`: uint8 (F, H * PATCH, W * PATCH, 3), RGB.  `origin`: what they are, in words, for the report."""

    frames: NDArray[np.uint8]
    origin: str

    @property
    def grid(self) -> tuple[int, int, int]:
        """(F, H, W): frames, rows and columns of patches."""
        count, high, wide, _ = self.frames.shape
        return count, high // PATCH, wide // PATCH


def read_video(path: str | Path, frames: int, height: int, width: int) -> Clip:
    """`frames` evenly spaced frames of a video file, cropped to the grid's shape and scaled to height x width patches.

    The clip is cut into `frames` equal parts and the middle frame of each is taken.  No frame is used twice: that
    would be redundancy which the video does not have.

    Raises
    ------
    InputOutputError : the file is missing, unreadable, no video, damaged, or has fewer frames than asked for.
    """
    path = Path(path)
    _check_file(path)
    with _opened(path) as (container, stream):
        times = sorted(packet.pts for packet in container.demux(stream) if packet.pts is not None and packet.size)
    with _opened(path) as (container, stream):
        if len(times) <= SHORT:  # also a raw stream, which has no times
            pictures = [_fit(frame, height, width) for frame in container.decode(stream)]
            if len(pictures) < frames:
                raise _too_few(path, len(pictures), frames)
            pictures = [pictures[at] for at in _middles(len(pictures), frames)]
        else:
            wanted = [times[at] for at in _middles(len(times), frames)]
            pictures = [_fit(frame, height, width) for frame in _frames_at(container, stream, wanted)]
            if len(pictures) < frames:
                raise InputOutputError(f"{path}: the video ends before its stated end, the file is damaged",
                                       "copy it again or take another one")
    return Clip(np.stack(pictures), f"{path.name}, frames evenly spaced")


def _check_file(path: Path) -> None:
    """The causes that a decoder would only describe as 'invalid data'."""
    try:
        with path.open("rb") as file:
            empty = not file.read(1)
    except FileNotFoundError:
        raise InputOutputError(f"{path}: no such file", "check the path") from None
    except IsADirectoryError:
        raise InputOutputError(f"{path}: is a folder", "name a video file in it") from None
    except OSError as error:
        raise InputOutputError(f"{path}: cannot be read ({error.strerror})", "check its permissions") from None
    if empty:
        raise InputOutputError(f"{path}: the file is empty", "copy it again or take another one")


@contextmanager
def _opened(path: Path) -> Iterator[tuple[InputContainer, VideoStream]]:
    """The file and its first video stream; what the decoder raises becomes an `InputOutputError`."""
    try:
        # `file:` keeps a colon in the name from being taken for a protocol.
        with av.open(f"file:{path.resolve()}") as container:
            if container.format.name == "tty":  # any text passes for a terminal recording
                raise InputOutputError(f"{path}: is a text file, not a video", FORMATS)
            if not container.streams.video:
                raise InputOutputError(f"{path}: holds no video stream (perhaps sound only)", FORMATS)
            yield container, container.streams.video[0]
    except av.FFmpegError as error:
        raise InputOutputError(f"{path}: cannot be decoded as a video ({error.strerror})", FORMATS) from None


def _too_few(path: Path, found: int, needed: int) -> InputOutputError:
    if found == 0:
        return InputOutputError(f"{path}: holds a video stream without a single frame", FORMATS)
    return InputOutputError(f"{path}: has {found} frame{'s' if found > 1 else ''}, this needs at least {needed}",
                            "take a longer clip")


def _middles(count: int, parts: int) -> list[int]:
    return [(2 * part + 1) * count // (2 * parts) for part in range(parts)]


def _frames_at(container: InputContainer, stream: VideoStream, times: list[int]) -> Iterator[VideoFrame]:
    """The first frame at or after each time (in units of the stream's time base)."""
    for time in times:
        container.seek(time, stream=stream)  # lands on the key frame before
        for frame in container.decode(stream):
            if frame.pts is not None and frame.pts >= time:
                yield frame
                break


def _fit(frame: VideoFrame, height: int, width: int) -> NDArray[np.uint8]:
    """Scale until the grid is covered, then cut its middle out: patches stay square, the picture is not squeezed."""
    high, wide = height * PATCH, width * PATCH
    turns = round(frame.rotation / 90) % 4  # a phone's recording says how it was held
    source = (frame.width, frame.height) if turns % 2 == 0 else (frame.height, frame.width)
    scale = max(wide / source[0], high / source[1])
    scaled = [max(round(side * scale), least) for side, least in zip(source, (wide, high), strict=True)]
    if turns % 2:
        scaled.reverse()
    picture = frame.reformat(width=scaled[0], height=scaled[1], format="rgb24", interpolation="AREA").to_ndarray()
    picture = np.rot90(picture, turns)
    top, left = (picture.shape[0] - high) // 2, (picture.shape[1] - wide) // 2
    return np.ascontiguousarray(picture[top:top + high, left:left + wide])


def photo_clip(frames: int, height: int, width: int, seed: int) -> Clip:
    """A photograph panned and zoomed slowly: the default input, moving by a path that the seed draws.

    Frame by frame the view shifts by 0.6 to 1.2 % of its side, in one direction, and narrows by 0.6 to 1.2 %.
    """
    photo = Image.open(str(get_sample_data(PHOTO, asfileobj=False))).convert("RGB")
    draw = np.random.default_rng([seed, 1])
    heading, shift, shrink = draw.uniform(0, 2 * np.pi), draw.uniform(0.006, 0.012), draw.uniform(0.006, 0.012)
    wide = 0.9 * min(photo.width, photo.height * width / height)
    high = wide * height / width
    pictures = []
    for step in range(frames):
        scale = (1 - shrink) ** step
        middle = (photo.width / 2 + np.cos(heading) * shift * step * wide,
                  photo.height / 2 + np.sin(heading) * shift * step * high)
        left = min(max(middle[0] - scale * wide / 2, 0), photo.width - scale * wide)
        top = min(max(middle[1] - scale * high / 2, 0), photo.height - scale * high)
        view = photo.resize((width * PATCH, height * PATCH), Image.Resampling.BICUBIC,
                            box=(left, top, left + scale * wide, top + scale * high))
        pictures.append(np.asarray(view))
    return Clip(np.stack(pictures), f"photograph {PHOTO} (matplotlib's sample data), panned and zoomed")


def noise_clip(frames: int, height: int, width: int, seed: int) -> Clip:
    """White noise, every pixel and colour uniform in 0..255: the control in which nothing is redundant."""
    shape = (frames, height * PATCH, width * PATCH, 3)
    pixels = np.random.default_rng([seed, 2]).integers(0, 256, shape, dtype=np.uint8)
    return Clip(pixels, "white noise")
