/** Adds to each long table of the documentation site a field that filters its rows. */
const LONG = 50;

for (const table of document.querySelectorAll('.tsd-typography table')) {
  const rows = [...table.tBodies[0].rows];
  if (rows.length < LONG) continue;
  const field = document.createElement('input');
  field.type = 'search';
  field.placeholder = 'Filter the rows: unet wasm';
  field.setAttribute('aria-label', 'Filter the rows of the table');
  field.addEventListener('input', () => {
    const words = field.value.toLowerCase().split(/\s+/);
    for (const row of rows) {
      const text = row.textContent.toLowerCase();
      row.hidden = !words.every((word) => text.includes(word));
    }
  });
  table.before(field);
}
