"""Who was heard of when: nobody who polls is taken for gone, and nobody who is gone is missed."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from core.admission.attendance import Attendance

ABANDON = 600

Step = tuple[str, str, int]


def test_who_was_not_heard_of_for_that_long_is_absent() -> None:
    attendance = Attendance(ABANDON)
    attendance.arrive("a", 0, 0)
    attendance.arrive("b", 10, 10)
    assert attendance.absent(599) == []
    assert attendance.absent(600) == ["a"]
    assert attendance.absent(601) == ["a"], "told again until they leave"
    attendance.poll("a", 601)
    assert attendance.absent(610) == ["b"]
    attendance.leave("b")
    assert attendance.absent(1200) == []
    assert attendance.absent_at("a") == 1201
    assert attendance.absent(1201) == ["a"]


def test_nobody_is_absent_where_waiting_has_no_end() -> None:
    attendance = Attendance(0)
    attendance.arrive("a", 0, 0)
    attendance.poll("a", 10**9)
    assert attendance.absent(10**12) == []
    assert attendance.unwritten() == {}


def test_polls_are_written_at_most_once_per_quarter() -> None:
    attendance = Attendance(ABANDON)
    attendance.arrive("a", 0, 0)
    attendance.poll("a", 149)
    assert attendance.unwritten() == {}
    attendance.poll("a", 150)
    attendance.poll("a", 160)
    attendance.poll("stranger", 160)
    assert attendance.unwritten() == {"a": 160}
    assert attendance.unwritten() == {"a": 160}, "due until it is written"
    attendance.poll("a", 170)
    attendance.written({"a": 160})
    attendance.poll("a", 309)
    assert attendance.unwritten() == {}
    attendance.poll("a", 310)
    attendance.leave("a")
    assert attendance.unwritten() == {}


def test_who_is_there_at_the_start_is_written_as_soon_as_they_poll() -> None:
    attendance = Attendance(ABANDON)
    attendance.arrive("a", 1000, 500)
    assert attendance.absent_at("a") == 1600, "counts as just seen"
    assert attendance.unwritten() == {}
    attendance.poll("a", 1001)
    assert attendance.unwritten() == {"a": 1001}


def test_what_another_process_heard_counts() -> None:
    attendance = Attendance(ABANDON)
    attendance.arrive("a", 0, 0)
    attendance.learn("a", 500)
    attendance.learn("a", 100)
    attendance.learn("stranger", 500)
    assert attendance.absent(1099) == []
    attendance.poll("a", 640)
    assert attendance.unwritten() == {}, "the database heard of it at 500"
    assert attendance.absent(1240) == ["a"]


@given(
    st.lists(
        st.tuples(
            st.sampled_from(["arrive", "poll", "learn", "leave", "look"]),
            st.sampled_from("abc"),
            st.integers(-400, 500),
        )
    )
)
def test_absent_are_exactly_those_whose_time_is_over_whatever_the_clock_does(steps: list[Step]) -> None:
    attendance = Attendance(ABANDON)
    seen: dict[str, int] = {}
    now = 10_000
    for what, user_id, later in steps:
        now += later
        match what:
            case "arrive":
                seen[user_id] = now
                attendance.arrive(user_id, now, now)
            case "poll":
                if user_id in seen:
                    seen[user_id] = now
                attendance.poll(user_id, now)
            case "learn":
                if user_id in seen:
                    seen[user_id] = max(seen[user_id], now - 50)
                attendance.learn(user_id, now - 50)
            case "leave":
                seen.pop(user_id, None)
                attendance.leave(user_id)
            case _:
                expected = {each for each, at in seen.items() if now - at >= ABANDON}
                assert set(attendance.absent(now)) == expected
                assert len(attendance.absent(now)) == len(expected)
        assert {each: attendance.absent_at(each) for each in seen} == {
            each: at + ABANDON for each, at in seen.items()
        }
