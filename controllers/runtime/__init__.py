"""The runtime below controllers, scheduler and node agent: client, informers, queue, worker, events, leader election.

How to write a controller
-------------------------
One controller is one module `controllers/<name>.py`, or a folder with `controller.py` and pure `plan.py` once large:

    class WidgetController(Controller):
        name = "widget-controller"                  # User-Agent, events' component, metrics
        watches = (For(WIDGETS), Owns(PODS), Watches(NODES, keys=nodes_to_widgets), Reads(CONFIG_MAPS))

        async def reconcile(self, key: Key) -> Requeue | None:
            widget = self.store(WIDGETS).get(*key)  # from the store; None: it is gone
            ...                                     # plan from plain data, then self.client.create(...)

and one line in `controllers/table.py`. What is promised to `reconcile`:

- It gets a key, never an event: look at everything again. A key is in one hand at a time (`workers` sets how many
  keys at once) and is handed out again if something changed meanwhile.
- The stores have seen all that the last reconcile of this key wrote through `self.client` (also in tasks it started),
  so no expectations are needed: a plan from the stores does not make things twice.
- Raise what you cannot handle: the key comes back, later each time. `Requeue(after_s=5)` comes back once in 5 s,
  `Requeue()` as after a failure. `self.enqueue(key, after_s)` does the same from anywhere.
- Write only where something differs: there is no resync, and a write without need is a loop.

Watching: `For` enqueues the object, `Owns` the owner that the controller reference names (and, by `orphans`, who might
adopt), `Watches` what a plain function `(controller, change) -> keys` of the class body says, `Reads` nothing. `when`
filters changes (`change.type`, `.obj`, `.old`), `delay_s` gathers them for a while.
`self.informer(resource).add_handler` serves rarer needs.

Reading: `self.store(resource)` has `get(namespace, name)`, `all(namespace)`, `controlled_by(uid)` and
`orphans(namespace)` (after `index_controllers()`, which `Owns` implies), `add_index(name, function)` + `by_index`.
Objects of a store belong to everyone: never change them, build new ones (`objects.copy_of`, `{**obj, "status": s}`).
They have kind and apiVersion, and no managedFields.

Writing: `self.client` has get, list, create, update, patch, apply, delete, delete_collection over catalogue rows
(constants in `kinds`); refusals are classes of `errors` (`except NotFound`). Times: `self.clock()`, never datetime.now.
Events: `self.events.normal(obj, reason, message)` and `.warning(...)`; they cost nothing and never fail.
Periodic work: yield coroutines from `background()`.

Tests: planners with plain dicts; the controller as a whole against the real API server in process.
"""
