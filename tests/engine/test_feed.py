"""The feed: frames byte for byte, resuming, gaps, and a replica that always ends up right."""

import msgpack
import pytest
from hypothesis import given
from hypothesis import settings as checks
from hypothesis import strategies as st

from engine.feed import Applied, Feed, Replica, pack_statuses, unpack_statuses
from engine.limits import MAX_FEED_DELTAS

SEATS = 9
AREAS = [5, 6]


def feed(epoch: int = 3) -> Feed:
    return Feed(7, epoch, bytes(SEATS), AREAS)


def test_statuses_are_packed_four_a_byte_lowest_bits_first() -> None:
    assert pack_statuses(bytes([1, 2, 3, 0, 2])) == bytes([0b00_11_10_01, 0b10])
    assert unpack_statuses(bytes([0b00_11_10_01, 0b10]), 5) == bytearray([1, 2, 3, 0, 2])
    with pytest.raises(ValueError, match="2 bytes of statuses for 4 seats"):
        unpack_statuses(bytes(2), 4)


@given(st.binary(max_size=30).map(lambda data: bytes(one & 3 for one in data)))
def test_packing_there_and_back(statuses: bytes) -> None:
    assert unpack_statuses(pack_statuses(statuses), len(statuses)) == statuses


def test_frames_are_what_the_protocol_says() -> None:
    published = feed()
    assert msgpack.unpackb(published.snapshot_frame()) == [
        "snapshot", 7, 3, 0, bytes(3), [5, 6]
    ]  # fmt: skip
    published.publish([4 << 2 | 1, 8 << 2 | 3], [(1, 2)])
    published.publish([4 << 2 | 2])
    frame = published.since(3, 0)
    assert frame is not None
    assert msgpack.unpackb(frame) == [
        "delta", 7, 3, 0, 2, bytes([18, 0, 0, 0, 35, 0, 0, 0]), [[1, 2]]
    ]  # fmt: skip
    assert msgpack.unpackb(published.snapshot_frame()) == [
        "snapshot", 7, 3, 2, bytes([0, 0b10, 0b11]), [5, 2]
    ]  # fmt: skip


def test_nothing_new_is_no_frame_and_no_step() -> None:
    published = feed()
    assert published.publish([], []) is False
    assert (published.seq, published.since(3, 0)) == (0, None)
    assert published.publish([1]) is True
    assert published.seq == 1


def test_watchers_from_the_same_place_share_one_frame() -> None:
    published = feed()
    published.publish([1])
    assert published.since(3, 0) is published.since(3, 0)
    assert published.since(9, 0) is published.snapshot_frame()


@pytest.mark.parametrize(("epoch", "seq"), [(2, 1), (4, 1), (3, 2), (3, -1), (0, 0)])
def test_who_cannot_resume_gets_the_whole_picture(epoch: int, seq: int) -> None:
    published = feed()
    published.publish([1])
    frame = published.since(epoch, seq)
    assert frame is not None and msgpack.unpackb(frame)[0] == "snapshot"


def test_the_past_is_kept_so_far_and_no_further() -> None:
    published = feed()
    for number in range(MAX_FEED_DELTAS + 1):
        published.publish([number % SEATS << 2 | number % 4])
    assert msgpack.unpackb(published.since(3, 0) or b"")[0] == "snapshot"
    assert msgpack.unpackb(published.since(3, 1) or b"")[:5] == [
        "delta", 7, 3, 1, MAX_FEED_DELTAS + 1
    ]  # fmt: skip


def test_a_replica_tells_what_a_frame_did() -> None:
    published, replica = feed(), Replica(7, SEATS, 2)
    assert replica.apply(published.snapshot_frame()) is Applied.SNAPSHOT
    published.publish([4 << 2 | 1], [(0, 1)])
    early = published.since(3, 0) or b""
    published.publish([5 << 2 | 1])
    late = published.since(3, 1) or b""
    assert replica.apply(late) is Applied.GAP
    assert (replica.epoch, replica.seq) == (3, 0)
    assert replica.apply(early) is Applied.DELTA
    assert (replica.changed, replica.changed_areas) == ([4], [0])
    assert replica.apply(early) is Applied.OLD
    assert replica.apply(late) is Applied.DELTA
    assert replica.statuses == bytearray([0, 0, 0, 0, 1, 1, 0, 0, 0])
    assert replica.areas == [1, 6]
    assert replica.apply(published.snapshot_frame()) is Applied.SNAPSHOT


def test_a_delta_that_starts_earlier_than_needed_does_no_harm() -> None:
    published, replica = feed(), Replica(7, SEATS, 2)
    published.publish([4 << 2 | 1])
    replica.apply(published.snapshot_frame())
    published.publish([4 << 2 | 2])
    assert replica.apply(published.since(3, 0) or b"") is Applied.DELTA
    assert replica.statuses[4] == 2


def test_an_older_reign_never_overwrites_a_newer_one() -> None:
    old, new, replica = feed(3), feed(4), Replica(7, SEATS, 2)
    old.publish([1])
    replica.apply(new.snapshot_frame())
    assert replica.apply(old.snapshot_frame()) is Applied.OLD
    assert replica.apply(old.since(3, 0) or b"") is Applied.OLD
    new.publish([2])
    ahead = Replica(7, SEATS, 2)
    ahead.apply(old.snapshot_frame())
    assert ahead.apply(new.since(4, 0) or b"") is Applied.GAP, "a newer reign begins with a picture"
    assert ahead.apply(new.snapshot_frame()) is Applied.SNAPSHOT


def test_an_older_picture_of_the_same_reign_is_dropped() -> None:
    published, replica = feed(), Replica(7, SEATS, 2)
    before = published.snapshot_frame()
    published.publish([1])
    replica.apply(published.snapshot_frame())
    assert replica.apply(before) is Applied.OLD
    assert replica.statuses[0] == 1


def test_another_performances_frame_is_not_applied() -> None:
    replica = Replica(8, SEATS, 2)
    assert replica.apply(feed().snapshot_frame()) is Applied.OLD


@pytest.mark.parametrize(
    "frame",
    [
        b"",
        b"\xc1",
        msgpack.packb(1),
        msgpack.packb(["snapshot", 7, 3]),
        msgpack.packb(["snapshot", 7, 3, 0, bytes(2), [5, 6]]),
        msgpack.packb(["snapshot", 7, 3, 0, bytes(3), [5]]),
        msgpack.packb(["picture", 7, 3, 0, bytes(3), [5, 6]]),
        msgpack.packb(["delta", 7, 0, 0, 1, (SEATS << 2).to_bytes(4, "little"), []]),
        msgpack.packb(["delta", 7, 0, 0, 1, b"\0", []]),
        msgpack.packb(["delta", 7, 0, 0, 1, b"", [[2, 1]]]),
    ],
)
def test_what_is_no_frame_is_an_error_and_changes_nothing(frame: bytes) -> None:
    replica = Replica(7, SEATS, 2)
    with pytest.raises(ValueError):
        replica.apply(frame)
    assert (replica.epoch, replica.seq, replica.statuses) == (0, 0, bytearray(SEATS))


steps = st.lists(
    st.tuples(
        st.lists(st.tuples(st.integers(0, SEATS - 1), st.integers(0, 3)), max_size=4),
        st.lists(st.tuples(st.integers(0, 1), st.integers(0, 9)), max_size=2),
    ),
    max_size=20,
)


@checks(deadline=None)
@given(steps, st.data())
def test_whoever_asks_from_where_they_are_ends_up_right(
    changes: list[tuple[list[tuple[int, int]], list[tuple[int, int]]]], data: st.DataObject
) -> None:
    """Frames are lost, doubled, late, out of order; the reign changes; asking again heals all."""
    published, truth, areas = feed(), bytearray(SEATS), list(AREAS)
    replica = Replica(7, SEATS, 2)
    seen: list[bytes] = []
    for seats, places in changes:
        for seat, status in seats:
            truth[seat] = status
        for area, left in places:
            areas[area] = left
        published.publish([seat << 2 | status for seat, status in seats], places)
        if data.draw(st.integers(0, 9)) == 0:
            published = Feed(7, published.epoch + 1, bytes(truth), areas)
        frame = published.since(replica.epoch, replica.seq)
        if frame is not None:
            seen.append(frame)
        for arrived in data.draw(st.lists(st.sampled_from(seen), max_size=3)) if seen else []:
            before = replica.epoch, replica.seq
            done = replica.apply(arrived)
            moved = (replica.epoch, replica.seq) > before
            assert moved == (done in (Applied.SNAPSHOT, Applied.DELTA)) or (
                done is Applied.SNAPSHOT and (replica.epoch, replica.seq) == before
            )
    frame = published.since(replica.epoch, replica.seq)
    if frame is not None:
        assert replica.apply(frame) in (Applied.SNAPSHOT, Applied.DELTA)
    assert replica.statuses == truth
    assert replica.areas == areas
    assert (replica.epoch, replica.seq) == (published.epoch, published.seq)
    assert published.counts() == tuple(map(truth.count, range(4)))
    assert published.area_left == sum(areas)
