import asyncio
from pathlib import Path

import httpx
import pytest

from ib_simulator.app import Simulator
from ib_simulator.control import scenario
from support.serve import InProcess

EXAMPLES = sorted((Path(__file__).parents[4] / "images/simulator/scenarios").glob("*.yaml"))


@pytest.mark.parametrize(
    ("text", "seconds"), [("500ms", 0.5), ("10s", 10), ("1h30m", 5400), ("2d", 172800), (3, 3), (0.5, 0.5)]
)
def test_times_are_written_with_units(text: object, seconds: float):
    assert scenario.duration(text) == seconds


@pytest.mark.parametrize("text", ["", "10", "s", "-5s", "10 s", "1x", -1, True, None, [1], float("nan")])
def test_other_times_are_refused(text: object):
    with pytest.raises(ValueError, match="500ms, 10s"):
        scenario.duration(text)


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("a: [", "night.yaml, line 1: not YAML"),
        ("- 1", "night.yaml, line 1: a scenario is a mapping with description, start, rate, steps"),
        ("", "night.yaml, line 1: a scenario is a mapping"),
        ("description: x", "night.yaml, line 1: 'steps' is missing or not a list of steps"),
        ("steps:\n  at: 1", "night.yaml, line 2: 'steps' is missing or not a list of steps"),
        ("speed: 3\nsteps: [{at: 0s, do: expire}]", "night.yaml, line 1: 'speed' is not known, allowed: description"),
        ("rate: 0\nsteps: [{at: 0s, do: expire}]", "night.yaml, line 1: 'rate' is simulated seconds per second"),
        ("start: now\nsteps: [{at: 0s, do: expire}]", "night.yaml, line 1: 'start' is a time with its zone"),
        ("start: 2026-01-01\nsteps: [{at: 0s, do: expire}]", "night.yaml, line 1: 'start' is a time with its zone"),
        ("steps:\n  - at: 1s\n    do: expire\n  - at: 2s\n", "night.yaml, line 4, step 2: a step has 'at'"),
        ("steps:\n  - {at: soon, do: expire}", "night.yaml, line 2, step 1: 'at' is a time after the start"),
        ("steps:\n  - {at: 1s, do: explode}", "night.yaml, line 2, step 1: there is no action 'explode'; there are"),
        (
            "steps:\n  - {at: 1s, do: compete, off: true}",
            "night.yaml, line 2, step 1: compete: 'on' is missing; 'False' is not known, allowed: on, returns_s",
        ),
        (
            "steps:\n  - {at: 1s, do: fault, kind: bang}",
            "night.yaml, line 2, step 1: fault: 'kind': input should be 'latency', 'hang'",
        ),
        (
            "steps:\n  - {at: 1s, do: fault, kind: hang, endpoint: get_moon}",
            "fault: no endpoint of the catalogue matches 'get_moon'",
        ),
    ],
)
def test_a_wrong_scenario_is_refused_with_line_and_step(text: str, sentence: str):
    with pytest.raises(scenario.ScenarioError) as caught:
        scenario.parse(text, "night.yaml")
    assert sentence in str(caught.value)


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path):
    with pytest.raises(scenario.ScenarioError, match=r"cannot read the scenario .*gone\.yaml: No such file"):
        scenario.load(tmp_path / "gone.yaml")


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_the_shipped_scenarios_are_valid_and_described(path: Path):
    loaded = scenario.load(path)
    assert loaded.steps
    assert loaded.description


@pytest.mark.looptime
async def test_steps_happen_at_their_time_without_any_request():
    played = scenario.parse("steps:\n  - {at: 10s, do: compete, on: true}\n  - {at: 1m, do: expire}", "x")
    simulator = Simulator(signed_in="paper", scenario=played)
    await asyncio.sleep(9.9)
    assert not simulator.session.competitor
    await asyncio.sleep(0.2)
    assert simulator.session.competitor
    await asyncio.sleep(50)
    assert simulator.session.user is None
    assert simulator.state()["scenario"] == {
        "name": "x",
        "description": "",
        "done": 2,
        "steps": 2,
        "next_in_s": None,
    }


@pytest.mark.looptime
async def test_a_fast_clock_plays_faster_and_an_advance_catches_up():
    played = scenario.parse("rate: 60\nsteps:\n  - {at: 5m, do: sign-out}", "x")
    simulator = Simulator(signed_in="paper", scenario=played)
    await asyncio.sleep(4)
    assert simulator.session.user is not None
    simulator.do("clock", advance_s=59)
    assert simulator.session.user is not None
    simulator.do("clock", advance_s=1)
    assert simulator.session.user is None


@pytest.mark.looptime
async def test_a_start_sets_the_calendar_and_keeps_the_session_alive():
    played = scenario.parse("start: 2026-11-24T23:50:00-05:00\nsteps:\n  - {at: 1m, do: drop-brokerage}", "x")
    simulator = Simulator(signed_in="paper", scenario=played)
    assert simulator.state()["clock"]["time"] == "2026-11-25T04:50:00.000+00:00"
    assert simulator.state()["session"]["authenticated"]
    await asyncio.sleep(60)
    assert not simulator.state()["session"]["authenticated"]


def test_a_scenario_given_outside_a_loop_starts_with_the_first_request():
    simulator = Simulator(
        signed_in="paper", scenario=scenario.parse("steps:\n  - {at: 0s, do: expire}\n  - {at: 1h, do: approve}", "x")
    )

    async def ask() -> int:
        async with httpx.AsyncClient(transport=InProcess(simulator.app), base_url="http://gateway") as client:
            return (await client.get("/v1/api/tickle")).status_code

    assert asyncio.run(ask()) == 401


@pytest.mark.looptime
async def test_a_step_that_cannot_be_done_does_not_stop_the_others():
    played = scenario.parse("steps:\n  - {at: 1s, do: clear-faults, id: 9}\n  - {at: 2s, do: expire}", "x")
    simulator = Simulator(signed_in="paper", scenario=played)
    await asyncio.sleep(3)
    assert simulator.session.user is None


@pytest.mark.looptime
async def test_a_scenario_moves_markets_and_loses_answers_to_orders():
    (path,) = (path for path in EXAMPLES if path.stem == "orders")
    simulator = Simulator(signed_in="paper", scenario=scenario.load(path))
    market = simulator.backend.worlds["paper"].market
    apple = market.contracts[265598]
    await asyncio.sleep(1)
    before = market.price(apple, simulator.clock.now())
    assert market.size(apple, "ask", simulator.clock.now()) == 2
    await asyncio.sleep(60)
    assert market.price(apple, simulator.clock.now()) < 0.98 * before
    assert [fault.spec.kind for fault in simulator.faults.active] == ["order_answer_lost"]
