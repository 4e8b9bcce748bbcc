"""The plan of finishing reads, complete: what options, dataset file and other files say together."""

from dataclasses import replace

from ionanalysis.basecaller.end_barcodes import end_barcodes_of
from ionanalysis.basecaller.handles import ReadStructure, check_handles, read_structure
from ionanalysis.basecaller.molecular_tags import check_pattern
from ionanalysis.errors import UsageError


def complete_plan(plan):
    """`plan` with handles, molecular tags and end barcodes.

    Handles and tags come from the options, else from the read structure; tags else from the read groups
    (basecaller.md 7.3, 7.5).

    Raises
    ------
    UsageError
        If a read structure is named without its file.
    InputError
        If a file cannot be read, or a sequence cannot be looked for.
    """
    options, structure = plan.barcodes, ReadStructure()
    if options.read_structure:
        if not options.read_structure_file:
            raise UsageError(f"--read-structure {options.read_structure}: name its file with --read-structure-file.")
        structure = read_structure(options.read_structure_file, options.read_structure)
    tags = {
        "prefix_mol_tag": options.prefix_mol_tag.upper() or structure.prefix_tag,
        "suffix_mol_tag": options.suffix_mol_tag.upper() or structure.suffix_tag,
    }
    for pattern in tags.values():
        check_pattern(pattern)
    handles = tuple(handle.upper() for handle in options.barcode_handles) or structure.handles
    check_handles(handles, plan.templates, options)
    return replace(
        plan,
        barcodes=replace(options, **tags),
        handles=handles if plan.templates is not None else (),
        end_barcodes=end_barcodes_of(plan.library, options) if plan.templates is not None else None,
    )
