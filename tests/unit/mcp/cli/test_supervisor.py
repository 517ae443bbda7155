"""When a part is started again, and with which environment."""

from __future__ import annotations

from ib_mcp.cli.supervisor import delay_after, environment


def test_a_part_that_dies_at_once_waits_twice_as_long_each_time_up_to_half_a_minute() -> None:
    delays: list[float] = []
    for _ in range(9):
        delays.append(delay_after(0.1, delays[-1] if delays else None))
    assert delays == [0.5, 1, 2, 4, 8, 16, 30, 30, 30]


def test_a_part_that_ran_for_a_minute_starts_with_the_first_delay_again() -> None:
    assert delay_after(60, 30) == 0.5


def test_a_given_setting_wins_over_an_inherited_one_and_over_its_file() -> None:
    inherited = {"PATH": "/bin", "IB_MCP_TOKEN": "old", "IB_MCP_TOKEN_FILE": "/old", "IB_MCP_DEADLINE_S": "5"}
    assert environment({"IB_MCP_TOKEN": "new"}, inherited) == {
        "PATH": "/bin",
        "IB_MCP_TOKEN": "new",
        "IB_MCP_DEADLINE_S": "5",
    }
