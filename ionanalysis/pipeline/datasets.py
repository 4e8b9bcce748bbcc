"""`datasets_pipeline.json`: the read groups that base calling fills (basecaller.md 7.1)."""


def datasets_pipeline(params, run_id, barcode_set=None, *, created=""):
    """The object of `datasets_pipeline.json`. Read groups are numbered from 1 by barcode index, no match is 0.

    Parameters
    ----------
    params : dict
        Content of `ion_params_00.json`.
    run_id : str
    barcode_set : BarcodeSet, optional
    created : str
        When the analysis started, ISO 8601.
    """
    site = params.get("site_name", "") or "local"
    unit = f"{params.get('platform', '')}/{params.get('chiptype', '')}"
    common = {
        "meta": {
            "format_name": "Dataset Map",
            "format_version": "1.1",
            "generated_by": "ionanalysis",
            "creation_date": created,
        },
        "sequencing_center": f"{site}/{params.get('instrumentName', '')}",
    }
    run_sample = params.get("sample") or "none"
    if barcode_set is None:
        group = {
            "index": 0,
            "sample": run_sample,
            "reference": "",
            "description": params.get("project", ""),
            "platform_unit": unit,
        }
        dataset = {"dataset_name": run_sample, "file_prefix": "rawlib", "read_groups": [run_id]}
        return {**common, "datasets": [dataset], "read_groups": {run_id: group}}
    nomatch = f"{run_id}.nomatch"
    datasets = [
        {"dataset_name": "none/No_barcode_match", "file_prefix": "nomatch_rawlib", "read_groups": [nomatch]},
    ]
    groups = {
        nomatch: {
            "index": 0,
            "sample": "none",
            "reference": "",
            "description": "",
            "platform_unit": f"{unit}/nomatch",
        }
    }
    for barcode in barcode_set:
        name = f"{run_id}.{barcode.name}"
        sample = barcode.sample or "none"
        datasets.append(
            {
                "dataset_name": f"{sample}/{barcode.name}",
                "file_prefix": f"{barcode.name}_rawlib",
                "read_groups": [name],
            }
        )
        groups[name] = {
            "index": barcode.index,
            "sample": sample,
            "reference": "",
            "description": "",
            "platform_unit": f"{unit}/{barcode.name}",
            "barcode_name": barcode.name,
            "controlType": "",
            "nucleotide_type": "DNA",
            "barcode": {
                "barcode_name": barcode.name,
                "barcode_sequence": barcode.sequence,
                "barcode_adapter": barcode.adapter,
            },
        }
    return {
        **common,
        "barcode_config": {"barcode_id": barcode_set.name},
        "datasets": datasets,
        "read_groups": groups,
    }
