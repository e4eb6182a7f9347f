// One class with a method for each endpoint, which answers the data or throws.
export default {
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
