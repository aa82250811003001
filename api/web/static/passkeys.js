// What makes and uses passkeys. Each form with data-passkey has a button that begins it, and two
// hidden fields, passkey and response, that are filled and sent. All texts come from the page:
//
//   data-passkey   get: use a passkey; create: make one
//   data-options   where fresh options come from: {handle, options, expires_in}, by a POST of the
//                  form's hidden fields
//   data-autofill  get: the browser also offers passkeys in the field whose autocomplete has webauthn
//   data-cancelled, data-exists, data-failed, data-unsupported: what the page says then
//
// Without this file the button stays hidden, and .passkey-missing says what is missing.

const fromText = (text) =>
  Uint8Array.from(atob(text.replaceAll("-", "+").replaceAll("_", "/")), (c) => c.charCodeAt(0));

const toText = (bytes) =>
  btoa(Array.from(new Uint8Array(bytes), (b) => String.fromCharCode(b)).join(""))
    .replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "");

const decodeIDs = (list) => (list ?? []).map((c) => ({ ...c, id: fromText(c.id) }));

// For browsers that do not read the options themselves.
function readOptions(kind, options) {
  const parse = kind === "create" ? "parseCreationOptionsFromJSON" : "parseRequestOptionsFromJSON";
  if (PublicKeyCredential[parse]) {
    return PublicKeyCredential[parse](options);
  }
  const read = { ...options, challenge: fromText(options.challenge) };
  if (kind === "create") {
    read.user = { ...options.user, id: fromText(options.user.id) };
    read.excludeCredentials = decodeIDs(options.excludeCredentials);
  } else {
    read.allowCredentials = decodeIDs(options.allowCredentials);
  }
  return read;
}

// toJSON is missing in some browsers, and fails where an extension of the browser answers.
function writeCredential(c) {
  try {
    return JSON.stringify(c.toJSON());
  } catch {
    const response = { clientDataJSON: toText(c.response.clientDataJSON) };
    for (const name of ["attestationObject", "authenticatorData", "signature", "userHandle"]) {
      if (c.response[name]) {
        response[name] = toText(c.response[name]);
      }
    }
    if (c.response.getTransports) {
      response.transports = c.response.getTransports();
    }
    return JSON.stringify({
      id: c.id, rawId: toText(c.rawId), type: c.type, response, clientExtensionResults: {},
      ...(c.authenticatorAttachment && { authenticatorAttachment: c.authenticatorAttachment }),
    });
  }
}

function passkeyForm(form) {
  const kind = form.dataset.passkey;
  const button = form.querySelector("button.passkey");
  const missing = form.querySelector(".passkey-missing");
  const problem = form.querySelector(".passkey-problem");
  let waiting; // what offers passkeys in a field: only one request can be open at a time

  const say = (text) => { problem.textContent = text ?? ""; };

  async function freshOptions() {
    const fields = new URLSearchParams();
    for (const input of form.querySelectorAll("input[type=hidden]")) {
      fields.set(input.name, input.value);
    }
    fields.delete("passkey");
    fields.delete("response");
    const answer = await fetch(form.dataset.options, { method: "POST", body: fields });
    if (!answer.ok) {
      throw new Error("there are no options");
    }
    return answer.json();
  }

  // Asks for a passkey, and sends the form with the answer.
  async function ask(fresh, more) {
    const request = { publicKey: readOptions(kind, fresh.options), ...more };
    const credential = await (kind === "create" ? navigator.credentials.create(request) : navigator.credentials.get(request));
    form.elements.passkey.value = fresh.handle;
    form.elements.response.value = writeCredential(credential);
    form.submit();
  }

  async function stopWaiting() {
    waiting?.abort.abort();
    await waiting?.ended;
    waiting = undefined;
  }

  // Offers passkeys in a field, for as long as the page is open: the options are made anew before
  // their time is over.
  async function autofill() {
    const fresh = await freshOptions();
    const abort = new AbortController();
    const ended = ask(fresh, { mediation: "conditional", signal: abort.signal }).catch(() => {});
    waiting = { abort, ended };
    setTimeout(async () => {
      if (document.hidden) {
        await new Promise((seen) => document.addEventListener("visibilitychange", seen, { once: true }));
      }
      if (waiting?.abort === abort) {
        await stopWaiting();
        offer();
      }
    }, (fresh.expires_in - 30) * 1000);
  }

  async function offer() {
    try {
      if (await PublicKeyCredential.isConditionalMediationAvailable?.()) {
        await autofill();
      }
    } catch {
      // The button is there.
    }
  }

  button.addEventListener("click", async () => {
    button.disabled = true;
    say("");
    try {
      await stopWaiting();
      await ask(await freshOptions());
      return; // the form is on its way
    } catch (e) {
      const name = { NotAllowedError: "cancelled", AbortError: "cancelled", InvalidStateError: "exists" }[e.name];
      say(form.dataset[name] ?? form.dataset.failed);
    }
    button.disabled = false;
    if ("autofill" in form.dataset) {
      offer();
    }
  });
  addEventListener("pageshow", () => { button.disabled = false; }); // also after going back to this page

  if (!window.PublicKeyCredential) {
    missing.textContent = form.dataset.unsupported;
    return;
  }
  missing.hidden = true;
  button.hidden = false;
  if ("autofill" in form.dataset) {
    offer();
  }
}

for (const form of document.querySelectorAll("form[data-passkey]")) {
  passkeyForm(form);
}
