// What the seller sees: what this browser is, what it does now, and the switch that stops it.

import { openWorker } from "./worker_port.js";

const NOTICES = {
  SELLER: "You paused this browser. Nothing is done until you continue.",
  NO_SESSION: "Vinted has signed you out. Sign in on the Vinted tab, then continue.",
  CAPTCHA: "Vinted asks whether you are a person. Answer on the Vinted tab yourself, then continue.",
  FORBIDDEN: "Vinted refused a request. Look at the Vinted tab, then continue when all is well.",
  RATE_LIMITED: "Vinted asked for a break. Wait a while, then continue.",
};
const STANDBY = {
  OTHER_BROWSER: "Standing by: another browser is at work for this account",
  WRONG_USER: "Standing by: somebody else is signed in at Vinted here",
  NOT_READY: "Connected",
};
const BYES = {
  UNAUTHORIZED: "Not paired any more",
  VERSION_UNSUPPORTED: "This extension has to be updated",
  REPLACED: "Connected from another place",
};
const STAGES = { FETCHING_PHOTO: "fetching the photo", CALLING: "waiting for Vinted" };

const element = (id) => document.getElementById(id);
const worker = openWorker(({ state }) => state && show(state));
let isPaused = false;

element("switch").addEventListener("click", () => worker.send({ type: isPaused ? "resume" : "pause" }));
for (const id of ["open-pairing", "settings"]) {
  element(id).addEventListener("click", () => chrome.runtime.openOptionsPage());
}

function show(state) {
  const isPaired = !state.problem && state.isPaired;
  const pause = isPaired && state.session.state === "PAUSED" ? state.session.pause : null;
  isPaused = pause !== null;
  showNotice(state.problem ?? (isPaired ? NOTICES[pause] : "This browser is not paired with a StoFlow account yet."));
  element("facts").hidden = !isPaired;
  element("switch").hidden = !isPaired;
  element("open-pairing").hidden = Boolean(state.problem) || isPaired;
  element("settings").hidden = !isPaired;
  if (!isPaired) {
    return;
  }
  element("account").textContent = state.account?.display_name ?? "";
  fact("connection", ...connectionOf(state));
  fact("session", ...sessionOf(state.session));
  element("work").textContent = workOf(state.work);
  element("switch").textContent = isPaused ? "Continue" : "Pause";
  element("switch").classList.toggle("plain", !isPaused);
}

function showNotice(text) {
  element("notice").hidden = !text;
  element("notice").firstElementChild.textContent = text ?? "";
}

function fact(id, tone, text) {
  const dot = document.createElement("span");
  dot.className = `dot ${tone}`;
  element(id).replaceChildren(dot, text);
}

function connectionOf({ connection, role, lastBye, session }) {
  if (connection !== "CONNECTED") {
    return ["warm", BYES[lastBye] ?? (connection === "CONNECTING" ? "Connecting" : "Not connected; trying again")];
  }
  if (role.role === "ACTIVE") {
    return ["good", session.state === "READY" ? "Connected, at work" : "Connected"];
  }
  return ["", STANDBY[role.reason] ?? "Standing by"];
}

function sessionOf({ state, user }) {
  if (state === "NO_TAB") {
    return ["warm", "Open a Vinted tab and leave it open"];
  }
  if (!user) {
    return ["warm", "Sign in on the Vinted tab"];
  }
  return [state === "PAUSED" ? "warm" : "good", `Signed in as ${user.login || user.id}`];
}

function workOf({ label, stage, waiting }) {
  if (label === null) {
    return "Nothing";
  }
  const more = waiting > 0 ? `, ${waiting} more after it` : "";
  return `${label}${stage === null ? "" : `: ${STAGES[stage]}`}${more}`;
}
