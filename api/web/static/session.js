// The frame of session management (OpenID Connect Session Management 1.0 section 3.2). A page of an app sends its
// client ID and a session_state, and learns whether the browser is still in the state of then: the cookie has the state
// of now. "error" is the answer to what is no such message, to another page than the one around the frame, and where
// the browser keeps the cookie from frames on other sites, so that no app takes that for a logout.
addEventListener("message", async (event) => {
  let answer = "error";
  try {
    const around = location.ancestorOrigins?.[0] ?? "null"; // "null": the browser does not tell
    const [, client, state, salt] = /^(\S+) ([0-9a-f]{64}\.([\w-]+))$/.exec(event.data);
    const cookie = ("; " + document.cookie).split("; COOKIE=")[1]?.split(";")[0] ?? "";
    if ((around === "null" || around === event.origin) && (cookie || await document.hasStorageAccess())) {
      const text = new TextEncoder().encode([client, event.origin, cookie, salt].join(" "));
      const sum = new Uint8Array(await crypto.subtle.digest("SHA-256", text));
      const now = Array.from(sum, (byte) => byte.toString(16).padStart(2, "0")).join("") + "." + salt;
      answer = now === state ? "unchanged" : "changed";
    }
  } catch {
    // It stays an error.
  }
  if (event.origin !== "null") {
    event.source?.postMessage(answer, event.origin);
  }
});
