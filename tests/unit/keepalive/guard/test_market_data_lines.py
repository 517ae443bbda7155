"""IBKR's hundred lines: who gets them, and who gives them up."""

from __future__ import annotations

from ib_keepalive.guard.memory.market_data_lines import ALL_EVERY_S, MOST, MarketDataLines, Room


def lines(held: int = 0, *, at: float = 0.0) -> MarketDataLines:
    """With so many lines held, asked for at ``at`` and not being read."""
    made = MarketDataLines()
    made.give_up_all(at - 1000)
    conids = [str(number) for number in range(held)]
    made.use(conids, at)
    made.release(conids, at)
    return made


def test_lines_that_are_unknown_are_given_up_before_the_first_are_taken():
    made = MarketDataLines()
    assert made.room_for(["1"], 0.0) == Room(all=True)
    made.give_up_all(0.0)
    assert made.room_for(["1"], 0.0) == Room()


def test_idle_instruments_give_up_their_lines_first_the_longest_unasked_before_all():
    made = lines(MOST, at=0.0)
    made.use(["7"], 50.0)
    made.release(["7"], 50.0)
    assert made.room_for(["900", "901"], 51.0) == Room(conids=("0", "1"))
    assert made.room_for(["7"], 51.0) == Room()


def test_of_instruments_that_are_polled_the_last_polled_gives_up_its_line():
    made = lines(MOST, at=0.0)
    assert made.room_for(["900"], 1.0) == Room(conids=("99",))


def test_an_instrument_that_is_being_read_keeps_its_line():
    made = lines(MOST, at=0.0)
    reading = [str(number) for number in range(1, MOST)]
    made.use(reading, 60.0)
    assert made.room_for(["900"], 61.0) == Room(conids=("0",))
    assert made.room_for(["900", "901"], 61.0) is None
    made.release(reading, 62.0)
    assert isinstance(made.room_for(["900", "901"], 62.0), Room)


def test_many_lines_are_given_up_at_once_when_nobody_reads_and_not_twice_in_ten_seconds():
    made = lines(70)
    wanted = [str(number) for number in range(1000, 1070)]
    made.use(["3"], 100.0)
    assert made.room_for(wanted, 100.0) is None
    made.release(["3"], 101.0)
    assert made.room_for(wanted, 101.0) == Room(all=True)
    made.give_up_all(101.0)
    made.use(wanted, 101.0)
    made.release(wanted, 102.0)
    others = [str(number) for number in range(2000, 2070)]
    assert made.room_for(others, 103.0) == 101.0 + ALL_EVERY_S
    assert made.room_for(others, 101.0 + ALL_EVERY_S) == Room(all=True)


def test_an_instrument_is_given_up_on_all_exchanges():
    made = lines(3)
    made.use(["2@NYSE"], 1.0)
    assert made.give_up("2") == ["2", "2@NYSE"]
    assert made.holds(["0", "1"])
    assert not made.holds(["2"])


def test_two_who_read_the_same_keep_its_line_until_both_are_done():
    made = lines()
    made.use(["1"], 0.0)
    made.use(["1"], 0.0)
    made.release(["1"], 1.0)
    assert made.in_use == 1
    made.release(["1"], 2.0)
    assert made.in_use == 0
