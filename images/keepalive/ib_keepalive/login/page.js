
"use strict";
const part = (id) => document.getElementById(id);
const arrived = Date.now();
const backFromSignIn = location.search === "?signed-in";

function show(seen) {
  // IBKR's last page comes before the session is open: the next half minute is no new request to sign in.
  const settling = backFromSignIn && Date.now() - arrived < 30000 && seen.state === "login_required";
  const words = settling
    ? { title: "Sign-in received", advice: "Wait a few seconds: the session is being opened.", tone: "wait" }
    : seen;
  document.querySelector("main").dataset.tone = words.tone;
  document.title = words.title + " · IBKR session";
  say("title", words.title);
  say("advice", words.advice);
  say("detail", words.tone === "good" || !seen.detail ? null : "Seen: " + seen.detail + ".");
  part("sign-in").hidden = !words.offers_sign_in;
  part("take-over").hidden = !words.offers_take_over;
  part("mode").hidden = seen.mode === "unknown";
  part("mode").dataset.mode = seen.mode;
  part("mode").textContent = seen.mode === "paper" ? "Paper account" : "Live account";
  fact("since", clock(seen.state_since));
  fact("age", Math.round(seen.age_seconds) + " s ago");
  fact("latency", seen.latency_ms === null ? null : Math.round(seen.latency_ms) + " ms");
  fact("deadline", seen.deadline === null ? null : clock(seen.deadline));
  part("facts").hidden = false;
}

// The same text again would be read out again.
function say(id, text) {
  part(id).hidden = text === null;
  if (part(id).textContent !== (text || "")) part(id).textContent = text || "";
}

function fact(id, text) {
  part(id).textContent = text;
  part(id).parentElement.hidden = text === null;
}

function clock(epoch) {
  const at = new Date(epoch * 1000);
  const today = at.toDateString() === new Date().toDateString();
  return at.toLocaleString([], today ? { timeStyle: "short" } : { dateStyle: "medium", timeStyle: "short" });
}

async function look() {
  let pause = 2000;
  try {
    const answer = await fetch("/login-status", { cache: "no-store", signal: AbortSignal.timeout(5000) });
    if (!answer.ok) throw new Error("HTTP " + answer.status);
    const seen = await answer.json();
    show(seen);
    if (seen.tone === "good") pause = 5000;
  } catch {
    document.querySelector("main").dataset.tone = "bad";
    say("title", "No connection to this page's server");
    say("advice", "Check that ib-mcp, or the port-forward to it, still runs. This page goes on trying.");
    say("detail", null);
    part("sign-in").hidden = part("take-over").hidden = part("facts").hidden = true;
  }
  setTimeout(look, document.hidden ? 15000 : pause);
}
look();
