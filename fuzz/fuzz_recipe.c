/* rooms: wx/feature */
/* fuzz/fuzz_recipe.c - recipes from hostile engines: refused with words, or one that can be asked
 * all that a recipe is asked. */
#include <stdint.h>
#include <stdlib.h>

#include "squall/feature.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    squall_recipe *recipe = NULL;
    squall_error err = {.text = ""};
    if (squall_recipe_parse((const char *)data, size, "fuzz", &recipe, &err) != SQUALL_OK) {
        if (recipe != NULL || err.text[0] == '\0') {
            abort();
        }
        return 0;
    }
    squall_tensor input, output;
    squall_recipe_input_shape(recipe, 37, 53, &input);
    squall_recipe_output_shape(recipe, 37, 53, &output);
    const size_t leads = squall_recipe_output_channels(recipe);
    if (input.dims[2] < 37 || input.dims[3] < 53 || leads == 0 ||
        input.dims[1] != (int64_t)squall_recipe_input_channels(recipe) ||
        output.dims[1] % (int64_t)leads != 0 ||
        (output.dims[1] > (int64_t)leads) != squall_recipe_has_chances(recipe) ||
        squall_recipe_name(recipe) == NULL || squall_recipe_earliest_s(recipe) > 0 ||
        squall_recipe_tolerance_s(recipe) < 0 || !(squall_recipe_cell_m(recipe) >= 0)) {
        abort();
    }
    for (size_t i = 1; i < leads; i++) {
        if (squall_recipe_lead_s(recipe, i) <= squall_recipe_lead_s(recipe, i - 1)) {
            abort();
        }
    }
    squall_recipe_destroy(&recipe);
    return 0;
}
