// French and Brazilian Portuguese count 0 as one: "0 serveur". All other languages have the plural for it, or only one form.
const zeroIsOne = (count: number): number => (count < 2 ? 0 : 1)

export default defineI18nConfig(() => ({ pluralRules: { 'fr': zeroIsOne, 'pt-BR': zeroIsOne } }))
