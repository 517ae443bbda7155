from contextlib import ExitStack

from ib_simulator.limits import Limits
from ibkr import catalogue

ROWS = catalogue.load()


def test_the_eleventh_call_in_a_second_is_refused_and_boxed():
    limits = Limits()
    assert [limits.admit(None, 0.05 * n) for n in range(10)] == [None] * 10
    assert limits.admit(None, 0.9) is not None
    assert limits.breaches == {"global": 1}
    assert limits.admit(None, 500) is not None
    assert limits.admit(None, 601) is None
    assert limits.refused == 2


def test_ten_in_every_second_is_allowed_for_ever():
    limits = Limits()
    assert not any(limits.admit(None, n / 10) for n in range(1000))


def test_an_endpoint_has_its_own_limit():
    limits = Limits(penalty_s=0)
    trades = ROWS["list_trades"]
    assert limits.admit(trades, 0) is None
    assert limits.admit(ROWS["list_live_orders"], 1) is None
    assert limits.admit(trades, 4.9) is not None
    assert limits.admit(trades, 5) is None
    assert limits.breaches == {"list_trades": 1}


def test_five_histories_at_the_same_time():
    limits = Limits(penalty_s=0)
    history = ROWS["get_price_history"]
    with ExitStack() as running:
        for _ in range(5):
            assert limits.admit(history, 0) is None
            running.enter_context(limits.running(history))
        assert limits.admit(history, 2) is not None
    assert limits.admit(history, 2) is None


def test_off_it_admits_everything():
    limits = Limits(enabled=False)
    assert not any(limits.admit(ROWS["list_trades"], 0) for _ in range(100))
    assert limits.refused == 0


def test_after_the_clock_was_set_nothing_is_held_against_anybody():
    limits = Limits()
    for _ in range(11):
        limits.admit(None, 5000)
    limits.forget()
    assert limits.admit(None, 10) is None
    assert limits.to_json(10)["boxed_for_s"] == 0
