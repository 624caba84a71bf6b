/* Put behind the end of quickjs.c (see build.sh), for it reads the runtime's own structures. */

/* Makes everything that is there now immortal, and takes it out of the garbage collector's list: whatever it refers to later
 * has one reference that the collector does not know, and so stays too. The list that it is put in is walked by nobody, and is
 * there because a shape may still be replaced, which unlinks it.
 *
 * Headers of blocks that hold no counted thing are marked as well. They do not use the field, and whoever makes something
 * counted in such a block sets it. */
void sublet_make_immortal(JSRuntime *rt)
{
    static struct list_head immortals;
    struct list_head *gc_list = &rt->gc_obj_list, *el;

    list_for_each(el, gc_list)
        JS_REF_COUNT(list_entry(el, JSGCObjectHeader, link)) = IMMORTAL;
    init_list_head(&immortals);
    if (!list_empty(gc_list)) {
        immortals = *gc_list;
        immortals.next->prev = &immortals;
        immortals.prev->next = &immortals;
        init_list_head(gc_list);
    }

    for (int index = 0; index < JS_ARENA_BLOCK_SIZE_COUNT; index++) {
        unsigned block_size = arena_block_sizes[index];
        list_for_each(el, &rt->arena_state.arena_list[index]) {
            JSArena *arena = list_entry(el, JSArena, link);
            uint8_t is_free[JS_ARENA_SIZE / 16] = {0};
            for (unsigned block = arena->first_free_block; block != JS_ARENA_FREE_NIL;) {
                is_free[block] = 1;
                block = ((JSMallocBlockHeader *)arena_get_block(arena, block, block_size))->u.free_next;
            }
            for (unsigned block = 0; block < arena->n_blocks; block++)
                if (!is_free[block])
                    ((JSMallocBlockHeader *)arena_get_block(arena, block, block_size))->ref_count = IMMORTAL;
        }
    }
}
