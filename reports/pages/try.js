// Send pictures to this program one after the other, and show what it answers.
const MOST_SHARES = 6; // classes whose bars are seen at once
const place = document.getElementById("answers");
const statusLine = document.getElementById("status");
const { mostBytes, unlike } = document.getElementById("try").dataset;
const waiting = [];
let busy = false;

function add(files) {
  for (const file of files) {
    const card = document.getElementById("answer").content.firstElementChild.cloneNode(true);
    card.querySelector(".path").textContent = file.name;
    card.querySelector(".answer").textContent = "waiting ...";
    card.setAttribute("aria-busy", "true");
    place.append(card);
    waiting.push([file, card]);
  }
  if (!busy) {
    work();
  }
}

async function work() {
  busy = true;
  while (waiting.length) {
    const [file, card] = waiting.shift();
    const more = waiting.length ? `, ${waiting.length} more to come` : "";
    statusLine.textContent = `Answering ${file.name}${more} ...`;
    card.scrollIntoView({ block: "nearest" });
    try {
      show(card, await ask(file));
    } catch (error) {
      card.classList.add("refused");
      card.querySelector(".answer").textContent = error.message;
    }
    card.removeAttribute("aria-busy");
    card.scrollIntoView({ block: "nearest" });
  }
  busy = false;
  statusLine.textContent = "Done.";
}

async function ask(file) {
  if (file.size > Number(mostBytes)) {
    throw new Error(`The picture is larger than ${mostBytes / 1e6} MB.`);
  }
  const type = file.type.startsWith("image/") ? file.type : "application/octet-stream";
  let response;
  try {
    const headers = { "Content-Type": type };
    response = await fetch("predict?explain=true", { method: "POST", headers, body: file });
  } catch {
    throw new Error("The program does not answer. Is it still running, and the file still there?");
  }
  const said = await response.json().catch(() => ({}));
  if (!response.ok) {
    throw new Error(said.detail ?? `The program refused it (status ${response.status}).`);
  }
  return said;
}

function show(card, said) {
  card.querySelector(".answer").textContent = said.refer ? `Refer (likeliest: ${said.answer})` : said.answer;
  const possible = said.possible.length > 1 ? `possible: ${said.possible.join(", ")}` : "";
  const notes = [possible, ...said.note.split("; ")].filter(Boolean);
  if (notes.includes(unlike)) {
    card.querySelector(".odd").append(element("span", "disagree", unlike));
  }
  card.querySelector(".note").textContent = notes.filter((note) => note !== unlike).join("; ");
  const sights = card.querySelector(".sights");
  sights.append(sight(said.thumbnail, "Picture"));
  if (said.heat_map) {
    sights.append(sight(said.heat_map, "Heat map"));
  }
  const ranked = Object.entries(said.probabilities).sort((one, other) => other[1] - one[1]);
  const others = ranked.filter(([name]) => name !== said.answer);
  const bars = [[said.answer, said.probabilities[said.answer]], ...others].map(bar);
  const shares = card.querySelector(".shares");
  const first = bars.splice(0, bars.length > MOST_SHARES + 1 ? MOST_SHARES : bars.length);
  shares.append(...first);
  if (bars.length) {
    const rest = element("details");
    rest.append(element("summary", "", `${bars.length} more classes`), ...bars);
    shares.append(rest);
  }
}

function sight(source, what) {
  const found = element("div", "side");
  const image = element("img", "thumb");
  image.src = source;
  image.alt = what;
  found.append(image, element("p", "small", what));
  return found;
}

function bar([name, share], place) {
  const row = element("div", place === 0 ? "share answered" : "share");
  const [track, fill] = [element("span", "track"), element("span", "fill")];
  fill.style.width = `${100 * share}%`;
  track.append(fill);
  const number = element("span", "number", `${(100 * share).toFixed(1)}\u00a0%`);
  row.append(element("span", "", name), track, number);
  return row;
}

function element(tag, kind = "", text = "") {
  const made = document.createElement(tag);
  made.className = kind;
  made.textContent = text;
  return made;
}

for (const name of ["files", "camera"]) {
  const input = document.getElementById(name);
  input.addEventListener("change", () => {
    add([...input.files]);
    input.value = ""; // so that the same picture can be chosen again
  });
}
for (const kind of ["dragenter", "dragover", "dragleave", "drop"]) {
  document.addEventListener(kind, (event) => {
    event.preventDefault();
    const over = kind !== "drop" && !(kind === "dragleave" && event.relatedTarget === null);
    document.body.classList.toggle("over", over);
  });
}
document.addEventListener("drop", (event) => add([...event.dataTransfer.files]));
