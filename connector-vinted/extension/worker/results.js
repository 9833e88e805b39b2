// What is said of a call, and when the browser stops by itself. No I/O.

const BODY_LIMIT_BYTES = 3 * 1024 * 1024;
const STOPPING_STATUS = { 401: "NO_SESSION", 429: "RATE_LIMITED" };

/** A call without an answer. `isSent`: something may have reached the site. */
export class Failure extends Error {
  constructor(kind, message, isSent = false) {
    super(message);
    this.kind = kind;
    this.isSent = isSent;
  }

  fields() {
    return {
      outcome: this.isSent ? "UNKNOWN" : "NOT_SENT",
      error: { kind: this.kind, message: this.message.slice(0, 500) },
    };
  }
}

/** Returns the fields of a result for the site's answer {status, headers, body}. */
export function answerFields(answer) {
  const isTooLarge = new TextEncoder().encode(answer.body).length > BODY_LIMIT_BYTES;
  const fields = {
    outcome: "ANSWERED",
    http_status: answer.status,
    headers: answer.headers,
    body: isTooLarge ? "" : answer.body,
  };
  const reason = stopReason(answer);
  if (reason !== null) {
    fields.error = { kind: reason, message: `The site answered ${answer.status}.` };
  } else if (isTooLarge) {
    fields.error = { kind: "TOO_LARGE", message: "The answer is too large." };
  }
  return fields;
}

/** Returns why the browser stops after this answer, null when it goes on. */
export function stopReason({ status, headers, body }) {
  const asksCaptcha = body.toLowerCase().includes("captcha");
  if (status === 403) {
    return asksCaptcha ? "CAPTCHA" : "FORBIDDEN";
  }
  if (asksCaptcha && (headers["content-type"] ?? "").includes("html")) {
    return "CAPTCHA";
  }
  return STOPPING_STATUS[status] ?? null;
}

export function resultOf(requestId, epoch, fields, startedTime) {
  return {
    type: "result",
    request_id: requestId,
    epoch,
    ...fields,
    ...(startedTime === undefined ? {} : { started_time: startedTime }),
    finished_time: new Date().toISOString(),
  };
}
