"""Ways in which sharing has lied, and the tests that hold each: the case it was found by, and others of its kind."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

TESTS = Path(__file__).parents[1]
GUARD, SESSION = "wire/keepalive/guard", "wire/keepalive/session"
GATEWAYS = "wire/mcp/guard/test_gateways"

CASES = {
    "another user's sign-in over an open session goes unnoticed": (
        f"{SESSION}/test_sign_in::test_signing_in_over_an_open_session_is_noticed_within_five_seconds",
        f"{SESSION}/test_sign_in::test_a_list_of_other_accounts_is_another_sign_in_at_once_and_answered_as_such",
        f"{GUARD}/test_sign_ins::test_another_users_sign_in_empties_what_was_kept_and_prepared",
        f"{GUARD}/test_sign_ins::test_an_account_listed_under_another_sign_in_is_refused_and_not_sent",
        "wire/mcp/guard/test_client::"
        "test_an_account_is_asked_under_the_sign_in_that_listed_it_though_another_question_saw_the_next_one",
    ),
    "the accounts of a signed-out gateway do not exist, and another's are offered": (
        f"{GATEWAYS}::test_the_accounts_of_a_gateway_that_is_signed_out_stay_its_own",
        f"{GATEWAYS}::test_a_default_account_whose_gateway_is_signed_out_is_not_swapped_for_another",
        f"{GATEWAYS}::test_which_account_is_meant_is_not_guessed_while_a_gateway_has_never_told_its_own",
        f"{GATEWAYS}::test_an_account_is_not_denied_while_a_gateway_is_silent_that_may_have_got_it",
    ),
    "an account that a query names is asked of the first gateway": (
        f"{GATEWAYS}::test_an_account_counts_wherever_it_is_named",
        f"{GATEWAYS}::test_accounts_of_a_former_user_are_not_asked_of_a_gateway",
    ),
    "a late answer of the session before prepares the present one": (
        f"{GUARD}/test_sign_ins::test_an_account_list_under_way_at_a_sign_in_does_not_prepare_the_new_session",
        f"{GUARD}/test_sign_ins::test_orders_under_way_across_a_change_of_session_are_those_of_the_new_one",
        f"{GUARD}/test_sign_ins::test_a_question_that_waited_in_the_queue_is_prepared_in_the_session_it_is_sent_in",
        f"{GUARD}/test_sign_ins::test_preparation_under_way_at_a_sign_in_is_made_again",
        f"{GUARD}/test_sign_ins::test_prices_under_way_at_a_sign_in_are_asked_anew",
    ),
    "lines are forgotten that IBKR still holds": (
        f"{GUARD}/test_lines::test_lines_that_ibkr_still_holds_after_a_bad_spell_are_given_up",
        f"{GUARD}/test_lines::test_lines_of_before_a_restart_of_the_guard_are_given_up",
    ),
    "two price questions take the lines from each other": (
        f"{GUARD}/test_lines::test_two_questions_that_need_more_lines_than_there_are_both_get_their_prices",
        f"{GUARD}/test_lines::test_five_questions_at_once_are_served_one_after_the_other_to_the_end",
    ),
    "an instrument with one error is never shared again": (
        f"{GUARD}/test_lines::test_one_error_of_one_instrument_keeps_nobody_from_sharing_it_a_minute_later",
        f"{GUARD}/test_lines::test_those_who_want_the_refused_instrument_share_it_at_once",
    ),
    "a question without an answer takes all slots": (
        f"{GUARD}/test_slowness::test_an_instrument_whose_history_never_comes_does_not_take_the_slots",
        f"{GUARD}/test_slowness::test_a_question_that_got_no_answer_rests_longer_each_time_and_others_of_its_kind_do_not",
    ),
    "emptiness of failed preparation is kept as truth": (
        f"{GUARD}/test_sign_ins::test_strikes_that_are_empty_because_their_search_failed_are_an_error_and_not_kept",
        f"{GUARD}/test_sign_ins::test_an_account_list_that_is_empty_yet_is_neither_kept_nor_counted",
        f"{GUARD}/test_sign_ins::test_an_empty_answer_is_not_kept_for_an_hour",
    ),
    "slow is taken for dead, and the session is not tickled": (
        f"{SESSION}/test_timing::test_slow_answers_keep_the_session",
        f"{SESSION}/test_timing::test_a_gateway_without_answers_is_tickled_on",
        f"{GATEWAYS}::test_a_gateway_that_is_slow_to_list_its_accounts_is_not_taken_for_a_silent_one",
    ),
    "who joins a heavy caller's question waits in the heavy caller's place": (
        f"{GUARD}/test_fairness::test_who_asks_what_a_heavy_caller_has_queued_waits_as_for_a_question_of_its_own",
        f"{GUARD}/test_fairness::test_prices_that_a_heavy_caller_has_queued_do_not_keep_a_light_one_waiting",
        f"{GUARD}/test_fairness::test_what_is_prepared_for_a_heavy_caller_is_prepared_for_a_light_one_as_soon",
    ),
    "a hasty first caller fails the patient ones": (
        f"{GUARD}/test_fairness::test_a_hasty_caller_does_not_fail_a_patient_one_while_its_question_is_prepared",
        f"{GUARD}/test_fairness::test_a_hasty_first_caller_of_prices_does_not_fail_a_patient_one",
    ),
    "prices of long ago have no age where no fields are named": (
        f"{GUARD}/test_lines::test_prices_of_long_ago_are_not_told_as_new_where_no_fields_are_named",
        f"{GUARD}/test_sharing::test_prices_are_never_older_than_half_a_second",
    ),
    "the first blank answer of a feed that IBKR let go is final": (
        f"{GUARD}/test_lines::test_a_feed_that_ibkr_let_go_by_itself_is_warmed_up_again",
    ),
    "opening is given up for good": (
        f"{SESSION}/test_opening::test_keeper_goes_on_farther_and_farther_apart_in_a_long_outage_and_tells_it",
        f"{SESSION}/test_opening::test_a_sign_in_renews_the_attempts",
    ),
    "a silent gateway holds up questions to the others": (
        f"{GATEWAYS}::test_one_silent_gateway_costs_the_others_three_seconds_once",
        f"{GATEWAYS}::test_nobody_waits_again_for_a_gateway_that_stays_silent_and_it_is_seen_when_it_is_back",
    ),
    "look-ups of several are refused for the gateway of the first": (
        f"{GATEWAYS}::test_look_ups_for_a_healthy_gateway_are_not_refused_for_one_that_is_signed_out",
        f"{GATEWAYS}::test_each_agent_hears_which_gateways_answered_a_look_up_that_was_merged",
    ),
    "an account at two gateways is two": (
        f"{GATEWAYS}::test_the_same_account_on_two_gateways_is_one_and_served_by_the_open_one",
    ),
    "an outage costs dozens of requests for one question": (
        "unit/mcp/guard/test_batching::test_an_outage_costs_a_bounded_number_of_questions",
        "unit/mcp/guard/test_batching::test_two_keys_of_two_hundred_that_ibkr_refuses_cost_the_others_nothing",
    ),
    "all lines are given up again and again": (
        f"{GUARD}/test_lines::test_agents_who_poll_more_instruments_than_there_are_lines_all_get_their_prices",
        f"{GUARD}/test_lines::test_an_instrument_or_two_too_many_do_not_wake_all_feeds_anew",
    ),
    "after a sleep of the machine the old is fresh": (
        f"{SESSION}/test_observation::test_a_machine_that_slept_forgets_what_it_saw_and_looks_at_once",
        f"{SESSION}/test_observation::test_a_machine_that_slept_looks_at_waking_without_being_asked",
        "unit/keepalive/guard/test_session_memory::test_after_a_sleep_of_the_machine_nothing_is_remembered",
    ),
    "one operation's refusal closes everything": (
        f"{GUARD}/test_slowness::test_a_429_of_one_operation_closes_that_one_as_soon_as_others_are_seen_to_be_answered",
        f"{GUARD}/test_slowness::test_a_single_good_answer_does_not_end_a_penalty",
    ),
    "a session is called open of which nothing was heard": (
        f"{SESSION}/test_timing::test_a_session_of_which_nothing_was_heard_for_six_minutes_is_not_called_open",
        f"{SESSION}/test_timing::test_penalty_stops_everything_of_the_keeper_and_everything_of_the_guard",
    ),
    "the portfolio is empty while IBKR loads it": (
        f"{GUARD}/test_sign_ins::test_portfolio_data_is_not_read_while_ibkr_loads_the_accounts",
    ),
    "promises to callers that never return add up": (
        f"{GUARD}/test_fairness::test_promises_to_callers_that_never_return_do_not_add_up",
    ),
    "live or paper is asked no more after some failures": (
        f"{SESSION}/test_timing::test_facts_that_cannot_be_had_are_asked_less_and_less_until_they_can",
    ),
    "a page of maintenance asks for a sign-in": (
        "unit/keepalive/upstream/test_response::test_a_page_of_maintenance_is_maintenance_whatever_its_status",
        "unit/keepalive/session/test_observation::test_answer_shows",
    ),
    "the list of accounts outlives its user in the MCP server": (
        "wire/mcp/guard/test_client::test_the_accounts_of_a_user_are_listed_anew_as_soon_as_another_is_seen",
        f"{GATEWAYS}::test_another_users_sign_in_is_seen_in_accounts_and_mode_at_once",
    ),
    "one caller with many questions keeps newcomers out": (
        f"{GUARD}/test_fairness::test_one_caller_with_very_many_questions_keeps_nobody_out",
    ),
    "the first answer of another account or span is the cold one": (
        f"{GUARD}/test_sign_ins::test_orders_and_trades_are_warmed_up_for_each_account_and_span",
    ),
    "any text about sessions is a missing sign-in": (
        "unit/keepalive/upstream/test_response::test_a_text_that_speaks_of_sessions_is_no_missing_sign_in",
    ),
    "a name once looked up is kept for ever": (
        "wire/mcp/tools/test_forgetting::test_a_name_is_looked_up_again_after_an_hour_and_not_before",
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_every_case_is_held_by_tests_that_there_are(case: str) -> None:
    for test in CASES[case]:
        module, _, name = test.partition("::")
        source = (TESTS / f"{module}.py").read_text("utf-8")
        assert re.search(rf"^(async )?def {name}\(", source, re.MULTILINE), test
