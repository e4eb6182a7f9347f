/** Items of a text, separated by commas. */
export const splitList = (text: string): string[] => text.split(',').map(item => item.trim()).filter(Boolean)

export const joinList = (items: readonly string[] = []): string => items.join(', ')
