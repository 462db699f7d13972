"""What goes into a log comes out of it, for us and for other tools."""

from __future__ import annotations

import resource
from pathlib import Path
from typing import Any, List, Tuple

import numpy as np
import pytest
import simplejpeg
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from mcap.reader import make_reader
from mcap_protobuf.decoder import DecoderFactory

from embodied.errors import LogError
from embodied.geometry import matrix_from_quaternion
from embodied.messages import CameraFrame, Observation, SessionEnd, SessionStart
from embodied.recording import SessionWriter, export_session, log_info, read_session
from embodied.recording.png import decode_png, encode_png
from recordings import N_OBSERVATIONS, assert_same, make_observation, make_session, write_session


@pytest.fixture
def log(tmp_path: Path) -> Path:
    return write_session(tmp_path / "day-1.mcap")


def decoded(path: Path) -> List[Tuple[Any, Any, Any, Any]]:
    with path.open("rb") as file:
        return list(make_reader(file, decoder_factories=[DecoderFactory()]).iter_decoded_messages("/tf"))


class TestRoundTrip:
    def test_a_session_is_read_back_as_it_was_written(self, log: Path) -> None:
        read = list(read_session(log))
        assert len(read) == N_OBSERVATIONS + 2
        for message, original in zip(read, make_session()):
            assert_same(message, original)

    def test_colours_survive_jpeg_within_a_few_grey_levels(self, log: Path) -> None:
        observation = next(m for m in read_session(log, decode_rgb=True) if isinstance(m, Observation))
        original = make_observation(0)
        difference = observation.cameras[0].rgb.astype(int) - original.cameras[0].rgb.astype(int)
        assert observation.cameras[0].rgb_encoding == "raw"
        assert np.abs(difference).mean() < 4.0

    def test_a_jpeg_from_the_robot_is_kept_byte_for_byte(self, tmp_path: Path) -> None:
        jpeg = np.frombuffer(simplejpeg.encode_jpeg(np.zeros((24, 32, 3), np.uint8)), np.uint8)
        sent = make_observation(0, rgb=jpeg, rgb_encoding="jpeg")
        read = list(read_session(write_session(tmp_path / "a.mcap", [make_session()[0], sent])))
        assert isinstance(read[1], Observation)
        np.testing.assert_array_equal(read[1].cameras[0].rgb, jpeg)

    def test_a_camera_without_depth_or_masks_stays_one(self, tmp_path: Path) -> None:
        sent = make_observation(0, depth=None, segments=None, segment_labels=())
        read = list(read_session(write_session(tmp_path / "a.mcap", [make_session()[0], sent])))
        assert isinstance(read[1], Observation)
        assert read[1].cameras[0].depth is None
        assert read[1].cameras[0].segments is None

    @given(
        arrays(np.uint16, st.tuples(st.integers(1, 9), st.integers(1, 9)), elements=st.integers(0, 65535)),
        st.sampled_from([1, 255, 256, 65535]),
    )
    def test_png_keeps_every_value(self, image: np.ndarray, highest: int) -> None:
        image = np.minimum(image, np.uint16(highest))
        np.testing.assert_array_equal(decode_png(encode_png(image), *image.shape), image)

    def test_a_png_of_another_size_is_refused_before_it_is_unpacked(self) -> None:
        data = encode_png(np.zeros((50, 40), np.uint16))
        with pytest.raises(ValueError, match="expected grey 10x20, got L"):
            decode_png(data, 20, 10)

    @given(st.binary(max_size=200), st.integers(0, 90))
    def test_a_damaged_png_is_a_value_error(self, noise: bytes, keep: int) -> None:
        good = encode_png(np.arange(400, dtype=np.uint16).reshape(20, 20))
        with pytest.raises(ValueError, match="data: expected"):
            decode_png(good[:keep] + noise, 20, 20)


class TestForOtherTools:
    def test_schemas_are_the_well_known_ones(self, log: Path) -> None:
        assert {topic.topic: topic.schema for topic in log_info(log).topics} == {
            "/camera/head/calibration": "foxglove.CameraCalibration",
            "/camera/head/depth": "foxglove.CompressedImage",
            "/camera/head/rgb": "foxglove.CompressedImage",
            "/camera/head/segments": "foxglove.CompressedImage",
            "/observation": "embodied.Observation",
            "/session": "embodied.Session",
            "/tf": "foxglove.FrameTransforms",
        }

    def test_the_log_has_an_index_statistics_and_metadata(self, log: Path) -> None:
        with log.open("rb") as file:
            reader = make_reader(file, validate_crcs=True)
            summary = reader.get_summary()
            metadata = next(iter(reader.iter_metadata()))
            n_messages = len(list(reader.iter_messages()))
        assert summary is not None
        assert summary.statistics is not None
        assert summary.statistics.message_count == n_messages == 6 * N_OBSERVATIONS + 2
        assert {index.compression for index in summary.chunk_indexes} == {""}
        assert metadata.name == "embodied"
        assert (metadata.metadata["robot"], metadata.metadata["world_frame"]) == ("tester", "map")
        assert metadata.metadata["protocol_version"] == "2"

    def test_messages_carry_the_instant_of_capture_and_the_number(self, log: Path) -> None:
        _, _, message, transforms = decoded(log)[2]
        assert (message.log_time, message.sequence) == (make_observation(2).stamp_ns, 2)
        stamp = transforms.transforms[0].timestamp
        assert stamp.seconds * 10**9 + stamp.nanos == message.log_time

    def test_frames_go_from_the_map_over_the_base_to_the_camera(self, log: Path) -> None:
        original = make_observation(1)
        expected = [
            ("map", "base", original.T_world_base),
            ("base", "head_optical", original.cameras[0].T_base_camera),
        ]
        for transform, (parent, child, T) in zip(decoded(log)[1][3].transforms, expected):
            q, t = transform.rotation, transform.translation
            assert (transform.parent_frame_id, transform.child_frame_id) == (parent, child)
            np.testing.assert_allclose([t.x, t.y, t.z], T[:3, 3])
            np.testing.assert_allclose(matrix_from_quaternion(np.array([q.x, q.y, q.z, q.w])), T[:3, :3], atol=1e-12)

    def test_calibration_is_that_of_a_pinhole_camera_in_the_frame_of_its_images(self, log: Path) -> None:
        with log.open("rb") as file:
            reader = make_reader(file, decoder_factories=[DecoderFactory()])
            by_topic = {
                channel.topic: data
                for _, channel, _, data in reader.iter_decoded_messages(
                    ["/camera/head/calibration", "/camera/head/rgb", "/camera/head/depth"]
                )
            }
        calibration, intrinsics = by_topic["/camera/head/calibration"], make_observation(0).cameras[0].intrinsics
        assert (calibration.width, calibration.height) == (intrinsics.width_px, intrinsics.height_px)
        assert list(calibration.K)[:3] == [intrinsics.fx_px, 0.0, intrinsics.cx_px]
        assert {message.frame_id for message in by_topic.values()} == {"head_optical"}
        assert by_topic["/camera/head/rgb"].format == "jpeg"
        assert by_topic["/camera/head/depth"].format == "png"

    def test_frames_are_exported_as_pictures_and_matrices(self, log: Path, tmp_path: Path) -> None:
        assert export_session(log, tmp_path / "out") == N_OBSERVATIONS
        original = make_observation(1)
        frames = tmp_path / "out" / "head" / "frames"
        pose = np.loadtxt(frames / "frame-000001.pose.txt")
        np.testing.assert_array_equal(pose, original.T_world_base @ original.cameras[0].T_base_camera)
        depth = decode_png((frames / "frame-000001.depth.png").read_bytes(), 24, 32)
        np.testing.assert_array_equal(depth, original.cameras[0].depth)
        assert (frames / "frame-000001.labels.txt").read_text() == "mug\nchair\n"
        assert np.loadtxt(tmp_path / "out" / "head" / "camera-intrinsics.txt").shape == (3, 3)

    def test_frames_are_not_exported_among_other_files(self, log: Path, tmp_path: Path) -> None:
        with pytest.raises(LogError, match="not empty"):
            export_session(log, tmp_path)


class TestWriter:
    def test_what_was_written_is_readable_while_the_log_is_open(self, tmp_path: Path) -> None:
        with SessionWriter(tmp_path / "a.mcap") as writer:
            for message in make_session()[:3]:
                writer.write(message)
            assert len(list(read_session(tmp_path / "a.mcap"))) == 3

    def test_messages_become_durable_every_few_and_at_the_end(self, tmp_path: Path) -> None:
        writer = SessionWriter(tmp_path / "a.mcap", sync_every=2)
        durable = []
        for message in make_session():
            writer.write(message)
            durable.append(writer.n_durable)
        assert durable == [0, 2, 2, 4, 4, 6, 6, 8]
        assert writer.n_written == 8

    def test_sync_makes_everything_durable(self, tmp_path: Path) -> None:
        with SessionWriter(tmp_path / "a.mcap") as writer:
            writer.write(make_session()[0])
            assert writer.n_durable == 0
            writer.sync()
            assert writer.n_durable == 1

    def test_a_log_is_never_overwritten(self, log: Path) -> None:
        with pytest.raises(LogError, match="File exists"):
            SessionWriter(log)

    def test_a_full_disk_is_one_error_that_names_the_file(self, tmp_path: Path) -> None:
        before = resource.getrlimit(resource.RLIMIT_FSIZE)
        writer = SessionWriter(tmp_path / "a.mcap")
        try:
            resource.setrlimit(resource.RLIMIT_FSIZE, (4000, before[1]))
            writer.write(make_session()[0])
            with pytest.raises(LogError, match=r"cannot write the log .*a\.mcap: File too large"):
                writer.write(make_observation(0))
            writer.close()  # has nothing left to do
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, before)

    @pytest.mark.parametrize(
        ("messages", "complaint"),
        [
            ([make_observation(0)], "expected SessionStart first"),
            ([make_session()[0], make_session()[0]], "expected one of session 'day-1', got SessionStart"),
            ([make_session()[0], SessionEnd(session="b", stamp_ns=0, n_observations=0)], "got SessionEnd of 'b'"),
            ([make_session()[0], make_observation(1), make_observation(1)], "seq: expected more than 1, got 1"),
            ([SessionStart(session="day-1", robot="tester", stamp_ns=-1)], "stamp_ns: expected"),
            ([make_session()[0], make_observation(0, depth=np.zeros((2, 2), np.uint16))], "depth of camera 'head'"),
            ([make_session()[0], make_observation(0, rgb=np.zeros((24, 32, 3)))], "rgb of camera 'head'"),
            ([make_session()[0], make_observation(0, segments=np.zeros((24, 32), np.int32))], "segments of camera"),
            ([make_session()[0], make_observation(0, T_base_camera=np.eye(3))], "T_base_camera of camera"),
            ([*make_session(), make_observation(9)], "after the end"),
        ],
    )
    def test_a_message_that_does_not_belong_is_refused(
        self, tmp_path: Path, messages: List[Any], complaint: str
    ) -> None:
        with SessionWriter(tmp_path / "a.mcap") as writer:
            for message in messages[:-1]:
                writer.write(message)
            with pytest.raises(ValueError, match=complaint):
                writer.write(messages[-1])
        assert log_info(tmp_path / "a.mcap").complete

    def test_two_cameras_need_two_names(self, tmp_path: Path) -> None:
        observation = make_observation(0)
        camera: CameraFrame = observation.cameras[0]
        twice = make_observation(0, cameras=(camera, camera))
        with SessionWriter(tmp_path / "a.mcap") as writer:
            writer.write(make_session()[0])
            with pytest.raises(ValueError, match="different names"):
                writer.write(twice)
