"""From one process to many: the mesh, the layouts and what processes agree on. Exact at any world size.

``world.World`` is what the trainer knows of it; ``layouts.spread`` lays a model out; ``launch`` starts the processes.
"""
