import { defineAsyncComponent } from 'vue'
import type { AsyncComponentLoader, Component } from 'vue'

/** A component of which the code comes while its data is on the way, instead of when it is there. */
export function loadAhead<T extends Component>(load: AsyncComponentLoader<T>): T {
  // What cannot be loaded now is loaded, and its error shown, when it is needed.
  void load().catch(() => {})
  return defineAsyncComponent(load)
}
