// Messages of PROTOCOL.md as a browser reads them. No I/O.

export const VERSION = 1;
export const SUBPROTOCOL = "stoflow.browser.v1";
export const MALFORMED = 4400;

const TEXT = (value) => typeof value === "string";
const NUMBER = (value) => typeof value === "number" && Number.isFinite(value);
const WHOLE = (value) => Number.isSafeInteger(value);
const OBJECT = (value) => typeof value === "object" && value !== null && !Array.isArray(value);
const ROLE = (value) => value === "ACTIVE" || value === "STANDBY";
const ACCOUNT = (value) =>
  OBJECT(value) && violations({ account_id: TEXT, display_name: TEXT }, value).length === 0;

// Field -> its check; a name ending in ? may be absent.
const GATEWAY_MESSAGES = {
  paired: { token: TEXT, account: ACCOUNT },
  welcome: { session_id: TEXT, epoch: WHOLE, role: ROLE, reason: TEXT, account: ACCOUNT },
  role: { epoch: WHOLE, role: ROLE, reason: TEXT },
  command: { request_id: TEXT, epoch: WHOLE, operation: TEXT, parameters: OBJECT, timeout_seconds: NUMBER },
  cancel: { request_id: TEXT },
  result_ack: { request_id: TEXT },
  pong: {},
  bye: { reason: TEXT, message: TEXT, "retry_after_seconds?": NUMBER },
};

export class MessageError extends Error {}

/** Returns a gateway's message; throws MessageError unless it has just the shape that the protocol knows. */
export function readMessage(data) {
  if (!TEXT(data)) {
    throw new MessageError("a binary frame");
  }
  let message;
  try {
    message = JSON.parse(data);
  } catch {
    throw new MessageError("not JSON");
  }
  if (!OBJECT(message) || !TEXT(message.type)) {
    throw new MessageError("no object with a type");
  }
  if (!Object.hasOwn(GATEWAY_MESSAGES, message.type)) {
    throw new MessageError(`type: ${JSON.stringify(message.type).slice(0, 100)} is unknown`);
  }
  const wrong = violations({ type: TEXT, ...GATEWAY_MESSAGES[message.type] }, message);
  if (wrong.length > 0) {
    throw new MessageError(wrong.join("; "));
  }
  return message;
}

function violations(shape, message) {
  const names = new Map(
    Object.entries(shape).map(([name, check]) => [name.replace("?", ""), [check, name.endsWith("?")]]),
  );
  const wrong = Object.keys(message)
    .filter((name) => !names.has(name))
    .map((name) => `${name}: unknown field`);
  for (const [name, [check, isOptional]] of names) {
    if (!Object.hasOwn(message, name)) {
      if (!isOptional) {
        wrong.push(`${name}: missing`);
      }
    } else if (!check(message[name])) {
      wrong.push(`${name}: wrong type or value`);
    }
  }
  return wrong;
}
