// One class with a method for each endpoint, which answers the data or throws.
export default {
  parser: { patch: { operations: patchCursor } },
  output: { path: `${import.meta.dirname}/src/generated`, module: { extension: '.js' } },
  plugins: [
    { name: '@hey-api/client-fetch', throwOnError: true },
    '@hey-api/typescript',
    {
      name: '@hey-api/sdk',
      client: false,
      responseStyle: 'data',
      operations: { strategy: 'single', containerName: 'Bongsu' },
    },
  ],
}

/** A cursor is taken as an answer gives it: as text. */
function patchCursor(_method, _path, operation) {
  for (const parameter of operation.parameters ?? []) {
    if (parameter.name === 'cursor') parameter.schema = { type: ['string', 'null'] }
  }
}
