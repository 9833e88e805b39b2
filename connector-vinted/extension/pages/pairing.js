// Takes the code that StoFlow showed the seller.

import { openWorker } from "./worker_port.js";

const element = (id) => document.getElementById(id);
const worker = openWorker((message) => {
  if (message.state) {
    show(message.state);
  } else {
    element("pair").disabled = false;
    element("code").value = "";
    tell(message.refused ?? "Paired. Open a Vinted tab, sign in, and leave it open.", message.refused ? "refused" : "done");
  }
});

element("form").addEventListener("submit", (event) => {
  event.preventDefault();
  element("pair").disabled = true;
  tell("Asking StoFlow.", "");
  worker.send({ type: "pair", code: element("code").value.trim() });
});
element("unpair").addEventListener("click", () => {
  worker.send({ type: "unpair" });
  tell("Unpaired. Nothing is done in this browser any more.", "done");
});

function tell(text, tone) {
  element("message").textContent = text;
  element("message").className = `message ${tone}`;
}

function show(state) {
  element("problem").hidden = !state.problem;
  element("problem").firstElementChild.textContent = state.problem ?? "";
  element("form-part").hidden = Boolean(state.problem) || state.isPaired;
  element("paired-part").hidden = Boolean(state.problem) || !state.isPaired;
  element("account").textContent = state.account?.display_name ?? "";
  element("sites").textContent = state.sites?.join(", ") ?? "the configured site";
  element("gateway").textContent = state.gateway ?? "the configured gateway";
}
