// Sort a table by a column when its heading is pressed: numbers by data-rank, the rest as text.
for (const table of document.querySelectorAll("table.sortable")) {
  const headings = [...table.tHead.rows[0].cells];
  headings.forEach((heading, column) => {
    const button = document.createElement("button");
    button.type = "button";
    button.append(...heading.childNodes);
    heading.append(button);
    button.addEventListener("click", () => {
      const up = heading.getAttribute("aria-sort") === "descending";
      headings.forEach((other) => other.removeAttribute("aria-sort"));
      heading.setAttribute("aria-sort", up ? "ascending" : "descending");
      const body = table.tBodies[0];
      const rows = [...body.rows];
      rows.sort((one, other) => {
        const [a, b] = [one.cells[column], other.cells[column]];
        if (a.dataset.rank === undefined) {
          return (up ? 1 : -1) * a.textContent.localeCompare(b.textContent);
        }
        if (a.dataset.rank === "" || b.dataset.rank === "") {
          return (a.dataset.rank === "") - (b.dataset.rank === "");
        }
        return (up ? 1 : -1) * (a.dataset.rank - b.dataset.rank);
      });
      body.append(...rows);
    });
  });
}
