// The line from a page of the extension to its worker; opened anew when the worker had ended.

export function openWorker(onMessage) {
  let port;

  function open() {
    port = chrome.runtime.connect({ name: "page" });
    port.onMessage.addListener(onMessage);
    port.onDisconnect.addListener(open);
  }

  open();
  return { send: (wish) => port.postMessage(wish) };
}
