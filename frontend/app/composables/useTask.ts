import { ref } from 'vue'

/** The state of what a form submits: whether it is running, and why the last run failed. */
export function useTask() {
  const errorText = useErrorText()
  const busy = ref(false)
  /** A text for the user; empty if the last run succeeded. */
  const error = ref('')

  /** Returns whether the task succeeded. Does nothing while a task is running. */
  async function run(task: () => Promise<unknown>): Promise<boolean> {
    if (busy.value) return false
    busy.value = true
    error.value = ''
    try {
      await task()
      return true
    }
    catch (cause) {
      error.value = errorText(cause)
      return false
    }
    finally {
      busy.value = false
    }
  }

  return { busy, error, run }
}
