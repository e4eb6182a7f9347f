import withNuxt from './.nuxt/eslint.config.mjs'

export default withNuxt(
  { ignores: ['app/api/generated/**', 'app/api/proto/**', 'tests/proto/**', 'public/**'] },
  {
    rules: {
      '@typescript-eslint/no-explicit-any': 'error',
      '@stylistic/max-statements-per-line': ['error', { max: 2 }],
      '@stylistic/quote-props': 'off',
      'vue/singleline-html-element-content-newline': 'off',
      'vue/multi-word-component-names': 'off',
    },
  },
)
