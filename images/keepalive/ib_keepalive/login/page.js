
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
  for (const id of ["title", "advice"])
    if (part(id).textContent !== words[id]) part(id).textContent = words[id];
  part("sign-in").hidden = !words.offers_sign_in;
  part("detail").hidden = !seen.detail || words.tone === "good";
  part("detail").textContent = seen.detail || "";
  part("mode").hidden = seen.mode === "unknown";
  part("mode").dataset.mode = seen.mode;
  part("mode").textContent = seen.mode === "paper" ? "Paper account" : "Live account";
  part("since").textContent = clock(seen.state_since);
  part("age").textContent = Math.round(seen.age_seconds) + " s ago";
  part("latency").textContent = seen.latency_ms === null ? "–" : Math.round(seen.latency_ms) + " ms";
  part("deadline").textContent = seen.deadline === null ? "–" : clock(seen.deadline);
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
    if (seen.tone === "good") pause = 10000;
  } catch {
    document.querySelector("main").dataset.tone = "bad";
    part("title").textContent = "No connection to this page's server";
    part("advice").textContent = "Check that ib-mcp, or the port-forward to it, still runs. This page goes on trying.";
    part("sign-in").hidden = part("detail").hidden = true;
  }
  setTimeout(look, document.hidden ? 15000 : pause);
}
look();
