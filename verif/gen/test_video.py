# SPDX-License-Identifier: Apache-2.0
"""gen/video.py: frames are the stated ones, and every file that is no usable video is refused by one message."""

from pathlib import Path

import av
import numpy as np
import pytest
from numpy.typing import NDArray

from focus_rtl.gen import video
from focus_rtl.gen.errors import Exit, InputOutputError
from focus_rtl.gen.video import PATCH, noise_clip, photo_clip, read_video

Frames = NDArray[np.uint8]


def write_video(path: Path, frames: Frames, codec: str = "mpeg4", rate: int = 25) -> Path:
    """Encode uint8 (F, height, width, 3) frames; the format follows from the file's suffix."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=rate)
        assert isinstance(stream, av.VideoStream)
        stream.width, stream.height, stream.pix_fmt = frames.shape[2], frames.shape[1], "yuv420p"
        stream.bit_rate = 4_000_000
        for frame in frames:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(np.ascontiguousarray(frame), format="rgb24")))
        container.mux(stream.encode())
    return path


def write_sound(path: Path) -> Path:
    with av.open(str(path), "w") as container:
        stream = container.add_stream("pcm_s16le", rate=8000, layout="mono")
        assert isinstance(stream, av.AudioStream)
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 8000), np.int16), format="s16", layout="mono")
        frame.sample_rate = 8000
        container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return path


def grey_ramp(count: int, height: int = 96, width: int = 128) -> Frames:
    """Frame i is plain grey of level 2 i, so that a decoded frame says which one it is."""
    levels = (2 * np.arange(count, dtype=np.uint8))[:, None, None, None]
    return np.broadcast_to(levels, (count, height, width, 3)).copy()


def levels(clip: video.Clip) -> list[int]:
    return [round(float(frame.mean()) / 2) for frame in clip.frames]


# --- frames -------------------------------------------------------------------------------------

@pytest.mark.parametrize("short", [400, 10], ids=["decoded whole", "looked up by time"])
def test_frames_are_the_middles_of_equal_parts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, short: int) -> None:
    monkeypatch.setattr(video, "SHORT", short)
    clip = read_video(write_video(tmp_path / "ramp.mp4", grey_ramp(100)), 5, 3, 4)
    assert clip.frames.shape == (5, 3 * PATCH, 4 * PATCH, 3) and clip.frames.dtype == np.uint8
    assert clip.grid == (5, 3, 4)
    assert np.allclose(levels(clip), [10, 30, 50, 70, 90], atol=1)


def test_as_many_frames_as_asked_for_are_enough(tmp_path: Path) -> None:
    clip = read_video(write_video(tmp_path / "ramp.mkv", 10 * grey_ramp(4)), 4, 2, 2)
    assert np.allclose(levels(clip), [0, 10, 20, 30], atol=1)


def test_the_middle_is_cut_out_and_not_squeezed(tmp_path: Path) -> None:
    frames = np.zeros((2, 64, 128, 3), np.uint8)
    frames[:, :, 32:96] = 255  # a white square in the middle, black to its left and right
    clip = read_video(write_video(tmp_path / "square.mp4", frames), 2, 4, 4)
    assert clip.frames[:, :, 4:-4].mean() > 240
    wide = read_video(tmp_path / "square.mp4", 2, 2, 4)
    assert wide.frames[:, :, :12].mean() < 30 and wide.frames[:, :, 20:44].mean() > 225


def test_a_path_with_a_colon_a_space_and_umlauts(tmp_path: Path) -> None:
    path = write_video(tmp_path / "plain.mp4", grey_ramp(3)).rename(tmp_path / "10:30 Möwe %03d.mp4")
    assert read_video(path, 3, 2, 2).origin.startswith("10:30 Möwe %03d.mp4")


# --- refusals -----------------------------------------------------------------------------------

def refusal(path: Path, frames: int = 4) -> str:
    with pytest.raises(InputOutputError) as caught:
        read_video(path, frames, 2, 2)
    error = caught.value
    assert error.code == Exit.IO and error.cure
    assert str(path) in error.cause and "\n" not in error.cause
    return error.cause


def test_missing_file(tmp_path: Path) -> None:
    assert "no such file" in refusal(tmp_path / "nothing.mp4")


def test_folder(tmp_path: Path) -> None:
    assert "is a folder" in refusal(tmp_path)


def test_empty_file(tmp_path: Path) -> None:
    (tmp_path / "empty.mp4").touch()
    assert "is empty" in refusal(tmp_path / "empty.mp4")


def test_unreadable_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write_video(tmp_path / "locked.mp4", grey_ramp(4))

    def denied(*args: object, **kwargs: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "open", denied)  # a mode of 000 does not stop the superuser
    assert "Permission denied" in refusal(path)


@pytest.mark.parametrize("name", ["notes.mp4", "notes.txt"])
def test_text_file(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_text("This is a shopping list, not a video.\n" * 50)
    assert "video" in refusal(tmp_path / name)


def test_random_bytes(tmp_path: Path) -> None:
    (tmp_path / "noise.mp4").write_bytes(np.random.default_rng(7).bytes(20_000))
    assert "cannot be decoded" in refusal(tmp_path / "noise.mp4")


def test_cut_off_file(tmp_path: Path) -> None:
    whole = write_video(tmp_path / "whole.mp4", grey_ramp(40)).read_bytes()
    (tmp_path / "cut.mp4").write_bytes(whole[:len(whole) // 2])
    assert "cannot be decoded" in refusal(tmp_path / "cut.mp4")


def test_sound_only(tmp_path: Path) -> None:
    assert "no video stream" in refusal(write_sound(tmp_path / "sound.wav"))


def test_video_stream_without_frames(tmp_path: Path) -> None:
    with av.open(str(tmp_path / "none.avi"), "w") as container:
        stream = container.add_stream("mpeg4", rate=25)
        assert isinstance(stream, av.VideoStream)
        stream.width, stream.height, stream.pix_fmt = 64, 64, "yuv420p"
        container.start_encoding()
    assert "without a single frame" in refusal(tmp_path / "none.avi")


def test_one_frame(tmp_path: Path) -> None:
    message = refusal(write_video(tmp_path / "one.mp4", grey_ramp(1)))
    assert "has 1 frame, this needs at least 4" in message


def test_fewer_frames_than_needed(tmp_path: Path) -> None:
    assert "has 3 frames, this needs at least 4" in refusal(write_video(tmp_path / "three.mp4", grey_ramp(3)))


# --- clips that need no file --------------------------------------------------------------------

def test_default_clip_moves() -> None:
    clip = photo_clip(8, 5, 5, seed=1)
    assert clip.grid == (8, 5, 5) and "grace_hopper.jpg" in clip.origin
    steps = np.abs(np.diff(clip.frames.astype(np.int16), axis=0)).mean(axis=(1, 2, 3))
    assert len(steps) == 7 and (steps > 1).all() and (steps < 60).all()


@pytest.mark.parametrize("seed", range(8))
def test_default_clip_stays_inside_the_photograph(seed: int) -> None:
    clip = photo_clip(64, 3, 6, seed)
    assert clip.grid == (64, 3, 6)
    assert clip.frames.std(axis=(1, 2, 3)).min() > 10  # no frame of one colour


def test_clips_follow_from_the_seed() -> None:
    for make in (photo_clip, noise_clip):
        assert np.array_equal(make(3, 2, 2, 5).frames, make(3, 2, 2, 5).frames)
        assert not np.array_equal(make(3, 2, 2, 5).frames, make(3, 2, 2, 6).frames)


def test_noise_has_no_structure() -> None:
    clip = noise_clip(4, 4, 4, seed=3)
    assert clip.grid == (4, 4, 4)
    assert abs(float(clip.frames.mean()) - 127.5) < 1 and abs(float(clip.frames.std()) - 73.9) < 1
