// What an operator set: which gateway, which sites, where photos come from. Shipped empty, which performs nothing.

const LOOPBACK = new Set(["127.0.0.1", "localhost", "[::1]"]);

export class ConfigError extends Error {}

/** Reads config.json of the package; throws ConfigError with everything that is wrong. */
export async function readConfig() {
  const response = await fetch(chrome.runtime.getURL("config.json"));
  return checkConfig(await response.json());
}

/** Returns the configuration, its origins as sets. */
export function checkConfig(config) {
  const problems = [];
  if (!config.gateway_url || config.site_origins.length === 0) {
    problems.push("This extension is not configured yet: its operator has to set the gateway and the site.");
  } else if (!isSecure(config.gateway_url, "wss:", "ws:")) {
    problems.push("gateway_url: expected wss://, or ws:// on this machine.");
  }
  for (const origin of [...config.site_origins, ...config.image_origins]) {
    if (!isSecure(origin, "https:", "http:") || new URL(origin).origin !== origin) {
      problems.push(`${origin}: expected an origin with https://, or http:// on this machine.`);
    }
  }
  if (problems.length > 0) {
    throw new ConfigError(problems.join(" "));
  }
  return {
    gatewayUrl: config.gateway_url,
    siteOrigins: new Set(config.site_origins),
    imageOrigins: new Set(config.image_origins),
    page: config.page,
  };
}

function isSecure(text, secure, plain) {
  let url;
  try {
    url = new URL(text);
  } catch {
    return false;
  }
  return url.protocol === secure || (url.protocol === plain && LOOPBACK.has(url.hostname));
}
