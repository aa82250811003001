// What makes forms easier: a password can be shown, caps lock is told, and a form is sent once. Everything works
// without this file, and what only works with it is hidden until it has run.

for (const button of document.querySelectorAll(".reveal")) {
  const input = document.getElementById(button.getAttribute("aria-controls"));
  const show = (yes) => {
    input.type = yes ? "text" : "password";
    button.textContent = yes ? button.dataset.hide : button.dataset.show;
  };
  button.addEventListener("click", () => show(input.type === "password"));
  input.form.addEventListener("submit", () => show(false)); // browsers keep what was typed into a text field
  button.hidden = false;
}

for (const note of document.querySelectorAll(".caps")) {
  const input = document.getElementById(note.dataset.of);
  const look = (event) => {
    if (event.getModifierState) {
      note.textContent = event.getModifierState("CapsLock") ? note.dataset.text : "";
    }
  };
  for (const kind of ["keydown", "keyup", "mousedown"]) {
    input.addEventListener(kind, look);
  }
  input.addEventListener("blur", () => { note.textContent = ""; });
}

for (const form of document.forms) {
  let sent; // when; a form that led nowhere for this long may be sent again
  form.addEventListener("submit", (event) => {
    if (sent !== undefined && event.timeStamp - sent < 5000) {
      event.preventDefault();
    } else {
      sent = event.timeStamp;
    }
  });
  addEventListener("pageshow", () => { sent = undefined; }); // also after going back to this page
}
