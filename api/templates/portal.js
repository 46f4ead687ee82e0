// The portal's only script: the waiting page that goes on by itself, and WebAuthn on the phone's page. It has no words of
// its own: they stand in the page, or come with the answer.
"use strict";

(() => {
  const byId = (id) => document.getElementById(id);
  const rest = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

  // Seconds of one long poll, and rest between two.
  const WAIT_SECONDS = 25;
  const REST_MS = 1000;
  const AFTER_FAILURE_MS = 5000;

  function countDown(left, atEnd) {
    const end = Date.now() + 1000 * Number(left.dataset.seconds);
    const timer = setInterval(() => {
      const seconds = Math.max(0, Math.ceil((end - Date.now()) / 1000));
      left.textContent = `${Math.floor(seconds / 60)}:${String(seconds % 60).padStart(2, "0")}`;
      if (seconds === 0) {
        clearInterval(timer);
        atEnd();
      }
    }, 1000);
  }

  // Asks until the page no longer waits, or waits with another code: then there is another page to be had.
  async function watch() {
    const { shows } = byId("waiting").dataset;
    for (;;) {
      try {
        const answer = await fetch(`${location.pathname}/state?wait=${WAIT_SECONDS}&shows=${shows}`);
        if (answer.ok && !(await answer.json()).waiting) {
          location.reload();
          return;
        }
        await rest(answer.ok ? REST_MS : AFTER_FAILURE_MS);
      } catch {
        await rest(AFTER_FAILURE_MS);
      }
    }
  }

  const sections = ["ask", "told", "failed", "unusable", "registered", "not-reached"];

  // Shows one section and hides the others.
  function show(id, mayRetry) {
    for (const section of sections) {
      byId(section).hidden = section !== id;
    }
    byId("retry").hidden = !mayRetry;
    // On the asking PC a page follows what was told.
    if (byId("next")) {
      byId("next").hidden = id === "ask" || mayRetry;
    }
    byId(id).querySelector("h1").focus();
  }

  function showOwn(id) {
    show(id, "again" in byId(id).dataset);
  }

  function tell(answer) {
    if (answer.state === "go_on") {
      location.assign(byId("prove").dataset.next);
      return;
    }
    const [title, lines] = byId("told").children;
    title.textContent = answer.title;
    lines.replaceChildren(
      ...answer.lines.map((line) => {
        const paragraph = document.createElement("p");
        paragraph.textContent = line;
        return paragraph;
      }),
    );
    if (answer.types_again) {
      byId("number").value = "";
    }
    show("told", answer.state === "again");
  }

  // Answers that are no problem have a state.
  async function post(what, body) {
    const url = `${location.pathname}/${what}?lang=${document.documentElement.lang}`;
    const headers = { "content-type": "application/json" };
    const answer = await fetch(url, { method: "POST", headers, body: JSON.stringify(body) });
    const said = await answer.json();
    if ("state" in said) {
      return said;
    }
    const title = said.text[document.documentElement.lang];
    return { state: said.retryable ? "again" : "end", title, lines: [said.request_id] };
  }

  function toOctets(text) {
    const base64 = text.replaceAll("-", "+").replaceAll("_", "/");
    return Uint8Array.from(atob(base64), (character) => character.charCodeAt(0));
  }

  function toText(octets) {
    const binary = String.fromCharCode(...new Uint8Array(octets));
    return btoa(binary).replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "");
  }

  // The JSON form of WebAuthn level 3 §5.1.9, for browsers that cannot read it themselves.
  function readOptions(json) {
    const named = (list) => list?.map((known) => ({ ...known, id: toOctets(known.id) }));
    const options = { ...json, challenge: toOctets(json.challenge) };
    if (json.user) {
      options.user = { ...json.user, id: toOctets(json.user.id) };
      options.excludeCredentials = named(json.excludeCredentials) ?? [];
    } else {
      options.allowCredentials = named(json.allowCredentials) ?? [];
    }
    return options;
  }

  // And its other direction (§5.1): what the server needs of it.
  function writeCredential(credential) {
    const { response } = credential;
    const written = { clientDataJSON: toText(response.clientDataJSON) };
    if (response.attestationObject) {
      written.attestationObject = toText(response.attestationObject);
      written.transports = response.getTransports?.() ?? [];
    } else {
      written.authenticatorData = toText(response.authenticatorData);
      written.signature = toText(response.signature);
      if (response.userHandle) {
        written.userHandle = toText(response.userHandle);
      }
    }
    return {
      id: credential.id,
      rawId: toText(credential.rawId),
      type: credential.type,
      authenticatorAttachment: credential.authenticatorAttachment,
      response: written,
      clientExtensionResults: credential.getClientExtensionResults(),
    };
  }

  async function askAuthenticator({ publicKey }) {
    const isNew = "user" in publicKey;
    const own = window.PublicKeyCredential;
    const read = isNew ? own.parseCreationOptionsFromJSON : own.parseRequestOptionsFromJSON;
    const options = { publicKey: read ? read.call(own, publicKey) : readOptions(publicKey) };
    const credential = await (isNew
      ? navigator.credentials.create(options)
      : navigator.credentials.get(options));
    return credential.toJSON ? credential.toJSON() : writeCredential(credential);
  }

  // Cancelled, timed out or another phone: all are told alike by browsers. The rest cannot be helped by trying again.
  function whyNot(error) {
    switch (error.name) {
      case "InvalidStateError":
        return "registered";
      case "NotSupportedError":
      case "ConstraintError":
      case "SecurityError":
        return "unusable";
      default:
        return "failed";
    }
  }

  async function prove(typed) {
    let asked;
    try {
      asked = await post("options", typed);
    } catch {
      return showOwn("not-reached");
    }
    if (asked.state !== "options") {
      return tell(asked);
    }
    let credential;
    try {
      credential = await askAuthenticator(asked.options);
    } catch (error) {
      return showOwn(whyNot(error));
    }
    try {
      return tell(await post("finish", { ceremony_id: asked.ceremony_id, credential }));
    } catch {
      return showOwn("not-reached");
    }
  }

  // At 0:00 the page says that it is over, unless the phone is asking or something else is told.
  let isOver = false;
  function endIfOver() {
    if (isOver && !byId("ask").hidden && !byId("again").disabled) {
      // Not a reload: that would send a form again.
      location.replace(`${location.pathname}?lang=${document.documentElement.lang}`);
    }
  }

  function onPhone(form) {
    if (!window.PublicKeyCredential) {
      showOwn("unusable");
      return;
    }
    // A notification card has no number: its password was typed on the page before.
    const number = byId("number");
    const buttons = [form.querySelector("button"), byId("again")];
    const proveOnce = async () => {
      buttons.forEach((button) => (button.disabled = true));
      await prove(number ? { number: number.value } : {});
      buttons.forEach((button) => (button.disabled = false));
      endIfOver();
    };
    form.hidden = false;
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      proveOnce();
    });
    byId("again").addEventListener("click", () => {
      show("ask", false);
      if (!number || number.value) {
        proveOnce();
      } else {
        number.focus();
      }
    });
  }

  if (byId("waiting")) {
    watch();
    countDown(byId("left"), () => location.reload());
  }
  if (byId("prove")) {
    onPhone(byId("prove"));
    countDown(byId("left"), () => {
      isOver = true;
      endIfOver();
    });
  }
})();
