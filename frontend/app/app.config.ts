// As .field in main.css.
const FIELD = 'h-9 max-sm:h-10 border border-(--app-fill) bg-default text-default outline-0 focus:outline-solid focus-visible:outline-2 focus-visible:outline-primary aria-invalid:border-error'

export default defineAppConfig({
  ui: {
    colors: { primary: 'primary', neutral: 'neutral' },
    // Named here, they are in the bundle.
    icons: { check: 'i-lucide-check', chevronDown: 'i-lucide-chevron-down' },
    // Nuxt UI's own are paler than the text on them can bear.
    button: {
      compoundVariants: [{ color: 'primary', variant: 'solid', class: 'hover:bg-primary-700 active:bg-primary-700 dark:hover:bg-primary-300 dark:active:bg-primary-300' }],
    },
    input: { slots: { root: 'w-full' }, variants: { variant: { none: FIELD } }, defaultVariants: { variant: 'none' } },
    textarea: { slots: { root: 'w-full' }, variants: { variant: { none: `${FIELD} h-auto max-sm:h-auto` } }, defaultVariants: { variant: 'none' } },
    select: {
      slots: {
        base: 'w-full text-start',
        value: 'overflow-visible text-clip whitespace-normal',
        // Above the fields that follow.
        content: 'z-10 ring-(--app-fill)',
        item: 'data-highlighted:not-data-disabled:before:bg-elevated',
        itemLabel: 'overflow-visible text-clip whitespace-normal',
      },
      // Long texts take two lines.
      variants: { variant: { none: `${FIELD} h-auto max-sm:h-auto min-h-9 max-sm:min-h-10` } },
      defaultVariants: { variant: 'none' },
    },
    formField: { slots: { label: 'text-highlighted', help: 'mt-1 text-xs', error: 'mt-1 text-xs font-medium' } },
    checkboxGroup: { slots: { legend: 'text-highlighted' } },
  },
})
