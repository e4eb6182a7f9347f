import { ref } from 'vue'
import { ApiError } from '~/api/client'

// Those that people meet; the others are shown as the API server says them.
const KNOWN = new Set([
  'network', 'wrong_credentials', 'wrong_code', 'wrong_password', 'locked_out', 'too_many_requests', 'weak_password', 'email_taken',
  'last_admin', 'wrong_setup_token', 'already_set_up',
])

/** Runs what a form does: whether it is running, and what went wrong in words for people. */
export function useProblem() {
  const { t } = useI18n()
  const busy = ref(false)
  const problem = ref('')

  function say(error: unknown): string {
    if (!(error instanceof ApiError)) return String(error)
    return KNOWN.has(error.code) ? t(`problem.${error.code}`) : error.message
  }

  /** Whether it went well. */
  async function run(task: () => Promise<unknown>): Promise<boolean> {
    if (busy.value) return false
    busy.value = true
    problem.value = ''
    try {
      await task()
      return true
    }
    catch (error) {
      problem.value = say(error)
      return false
    }
    finally {
      busy.value = false
    }
  }

  return { busy, problem, run, say }
}
