"use strict";
// Uploads each photo as soon as it is taken. Without this script the form sends all photos at once.
(() => {
  const form = document.getElementById("form");
  const address = form.dataset.address;
  const draft = form.elements.draft.value;
  const loose = document.getElementById("loose");
  const send = document.getElementById("send");
  document.documentElement.classList.add("script");
  for (const id of ["progress", "meter"]) document.getElementById(id).hidden = false;

  const slots = () => [...form.querySelectorAll(".slot")];
  const place = () => [form.elements.latitude, form.elements.longitude].map((field) => (field ? field.value : ""));

  function lacking() {
    const all = slots();
    const sent = all.filter((slot) => slot.classList.contains("sent")).length;
    if (all.some((slot) => slot.classList.contains("sending"))) return "Sending ...";
    const missing = all.filter((slot) => slot.dataset.required === "yes" && !slot.classList.contains("sent")).length;
    if (missing) return missing === 1 ? "One photo is missing" : `${missing} photos are missing`;
    if (!sent) return loose ? "Add at least one photo" : "Take at least one photo";
    if (form.dataset.gps === "yes" && place().includes("")) return "Your location is missing";
    return "";
  }

  function show() {
    const all = slots().filter((slot) => !loose || slot.classList.contains("sent"));
    const sent = all.filter((slot) => slot.classList.contains("sent")).length;
    const text = loose ? `${sent} ${sent === 1 ? "photo" : "photos"} sent` : `${sent} of ${all.length} photos sent`;
    const still = lacking();
    document.querySelector("#progress .text").textContent = still ? `${text} \u00b7 ${still}` : `${text} \u00b7 Ready`;
    const share = loose ? (sent ? 1 : 0) : sent / Math.max(1, all.length);
    document.querySelector("#meter i").style.width = `${share * 100}%`;
    send.setAttribute("aria-disabled", still ? "true" : "false");
  }

  function say(slot, text, kind) {
    const state = slot.querySelector(".state");
    state.classList.toggle("bad", kind === "bad");
    const words = state.querySelector(".text");
    words.textContent = text;
    words.classList.toggle("done", kind === "done");
  }

  function upload(slot, file) {
    const shot = slot.querySelector(".shot");
    const bar = slot.querySelector(".bar");
    const old = shot.querySelector("img");
    const image = document.createElement("img");
    image.alt = "";
    image.src = URL.createObjectURL(file);
    if (old) old.remove();
    shot.append(image);
    shot.classList.add("full");
    slot.classList.remove("sent");
    slot.classList.add("sending");
    slot.querySelector(".remove").hidden = true;
    bar.hidden = false;
    say(slot, "Sending ...");

    const data = new FormData();
    data.append("photo", file);
    data.append("item", shot.dataset.item);
    data.append("draft", draft);
    const [latitude, longitude] = place();
    data.append("latitude", latitude);
    data.append("longitude", longitude);
    const call = new XMLHttpRequest();
    call.open("POST", `${address}/photos`);
    call.responseType = "json";
    call.upload.onprogress = (event) => {
      if (event.lengthComputable) bar.firstElementChild.style.width = `${(event.loaded / event.total) * 100}%`;
    };
    call.onloadend = () => {
      slot.classList.remove("sending");
      bar.hidden = true;
      bar.firstElementChild.style.width = "0";
      if (call.status === 201) {
        slot.classList.add("sent");
        say(slot, "Sent", "done");
        const remove = slot.querySelector(".remove");
        remove.dataset.photo = call.response.id;
        remove.hidden = false;
      } else {
        image.remove();
        shot.classList.remove("full");
        say(slot, (call.response && call.response.error) || "The upload failed. Please try again.", "bad");
      }
      show();
    };
    call.send(data);
    show();
  }

  const blank = loose && loose.lastElementChild.cloneNode(true);

  form.addEventListener("change", (event) => {
    const input = event.target;
    if (input.type !== "file" || !input.files.length) return show();
    let slot = input.closest(".slot");
    // Without items a new photo replaces the one in its place: remove that first.
    const earlier = slot.querySelector(".remove").dataset.photo;
    if (loose && earlier) fetch(`${address}/photos/${earlier}?draft=${draft}`, { method: "DELETE" });
    for (const file of [...input.files]) {
      if (loose && slot === loose.lastElementChild) {
        const next = blank.cloneNode(true);
        loose.append(next);
        upload(slot, file);
        slot = next;
      } else {
        upload(slot, file);
      }
    }
    input.value = "";
  });

  form.addEventListener("click", async (event) => {
    const button = event.target.closest(".remove");
    if (!button) return;
    const slot = button.closest(".slot");
    await fetch(`${address}/photos/${button.dataset.photo}?draft=${draft}`, { method: "DELETE" });
    if (loose) {
      slot.remove();
    } else {
      slot.classList.remove("sent");
      slot.querySelector(".shot").classList.remove("full");
      slot.querySelector(".shot img").remove();
      button.hidden = true;
      say(slot, "");
    }
    show();
  });

  const locate = document.getElementById("locate");
  if (locate && navigator.geolocation) {
    const located = document.getElementById("located");
    locate.hidden = false;
    locate.addEventListener("click", () => {
      located.textContent = "Locating ...";
      navigator.geolocation.getCurrentPosition(
        ({ coords }) => {
          form.elements.latitude.value = coords.latitude.toFixed(6);
          form.elements.longitude.value = coords.longitude.toFixed(6);
          located.textContent = `Location added, to within ${Math.round(coords.accuracy)} m.`;
          show();
        },
        () => {
          located.textContent = "The location is not available. Allow it in the browser's settings, or type it in.";
          document.getElementById("by-hand").open = true;
        },
        { enableHighAccuracy: true, timeout: 15000 },
      );
    });
  }

  form.addEventListener("input", show);
  form.addEventListener("submit", (event) => {
    const still = lacking();
    if (!still) {
      send.textContent = "Submitting ...";
      return;
    }
    event.preventDefault();
    const next = slots().find((slot) => slot.dataset.required === "yes" && !slot.classList.contains("sent"));
    const target = next || document.getElementById("where") || form;
    target.scrollIntoView({ behavior: "smooth", block: "center" });
  });
  const problem = document.getElementById("problem");
  if (problem) problem.focus();
  show();
})();
